ALTER TABLE "settings" ADD COLUMN "vault_key_rotation_days" integer NULL DEFAULT 90 CHECK (vault_key_rotation_days BETWEEN 1 AND 3650);
ALTER TABLE "settings" ADD COLUMN "vault_key_rotated_at" timestamp with time zone NULL;
CREATE TABLE "vault_keys" ( "id" uuid NOT NULL PRIMARY KEY, "wrapped" text NOT NULL COLLATE "C", "root_fingerprint" text NOT NULL COLLATE "C", "created_at" timestamp with time zone NOT NULL, "retired_at" timestamp with time zone NULL );
CREATE UNIQUE INDEX vault_keys_current ON vault_keys ((retired_at IS NULL)) WHERE retired_at IS NULL;
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0007_vault_keys', 1767268800);
