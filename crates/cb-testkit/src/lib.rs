//! cb-testkit
