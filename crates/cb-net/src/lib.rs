//! cb-net
