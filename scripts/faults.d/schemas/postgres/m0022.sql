ALTER TABLE "servers" ADD COLUMN "site" text;
ALTER TABLE "servers" ADD COLUMN "sight" json;
ALTER TABLE "scans" ADD COLUMN "site" text;
ALTER TABLE "jobs" ADD COLUMN "place" text;
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0022_sites', 1767268800);
