//! cb-vault
