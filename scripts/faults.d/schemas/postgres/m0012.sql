INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0012_credential_ports', 1767268800);
