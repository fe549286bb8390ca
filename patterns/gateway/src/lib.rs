//! API gateway: one endpoint in front of every service.
