//! cb-store
