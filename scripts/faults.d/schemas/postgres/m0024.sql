ALTER TABLE "servers" ADD COLUMN "told" json;
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0024_server_told', 1767268800);
