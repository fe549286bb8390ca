//! What must survive being killed.
