//! cb-app
