CREATE TABLE "kept_answers" ( "id" uuid NOT NULL PRIMARY KEY, "principal_id" uuid NOT NULL, "key_hash" text NOT NULL COLLATE "C", "fingerprint" text NOT NULL COLLATE "C", "status" integer NULL, "body" text NULL COLLATE "C", "etag" text NULL COLLATE "C", "created_at" timestamp with time zone NOT NULL );
CREATE UNIQUE INDEX kept_answers_once ON kept_answers (principal_id, key_hash);
CREATE INDEX kept_answers_at ON kept_answers (created_at);
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0013_idempotency', 1767268800);
