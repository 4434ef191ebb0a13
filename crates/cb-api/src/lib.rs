//! cb-api
