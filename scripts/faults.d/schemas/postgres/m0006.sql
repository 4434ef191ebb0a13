ALTER TABLE "audit_log" ADD COLUMN "address" text NULL COLLATE "C";
ALTER TABLE "audit_log" ADD COLUMN "agent" text NULL COLLATE "C";
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0006_audit_origin', 1767268800);
