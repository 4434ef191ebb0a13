ALTER TABLE "services" ADD COLUMN "scheme" text NULL COLLATE "C";
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0016_service_scheme', 1767268800);
