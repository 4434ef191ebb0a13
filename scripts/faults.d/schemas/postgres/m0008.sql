ALTER TABLE "settings" ADD COLUMN "vault_looked_at" timestamp with time zone NULL;
ALTER TABLE "settings" ADD COLUMN "vault_look_result" text NULL COLLATE "C";
ALTER TABLE "settings" ADD COLUMN "vault_look_error" text NULL COLLATE "C";
ALTER TABLE "settings" ADD COLUMN "vault_future_since" timestamp with time zone NULL;
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0008_vault_schedule', 1767268800);
