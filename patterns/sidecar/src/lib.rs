//! The sidecar: Dapr's HTTP API for any language.
