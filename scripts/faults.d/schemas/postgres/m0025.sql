ALTER TABLE "servers" ADD COLUMN "twin_at" timestamp with time zone;
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0025_server_twin', 1767268800);
