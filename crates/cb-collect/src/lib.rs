//! cb-collect
