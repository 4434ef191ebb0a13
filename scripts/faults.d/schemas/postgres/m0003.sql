ALTER TABLE "users" ADD COLUMN "passkeys" integer NOT NULL DEFAULT 0;
CREATE TABLE "passkeys" ( "id" uuid NOT NULL PRIMARY KEY, "user_id" uuid NOT NULL, "name" text NOT NULL COLLATE "C", "rp_id" text NOT NULL COLLATE "C", "credential_id" text NOT NULL UNIQUE COLLATE "C", "credential" json NOT NULL, "created_at" timestamp with time zone NOT NULL, "last_used_at" timestamp with time zone NULL, FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE );
CREATE TABLE "spent_tickets" ( "hash" text NOT NULL PRIMARY KEY COLLATE "C", "expires_at" timestamp with time zone NOT NULL );
CREATE INDEX passkeys_user ON passkeys (user_id);
CREATE INDEX spent_tickets_expiry ON spent_tickets (expires_at);
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0003_passkeys', 1767268800);
