ALTER TABLE "users" ADD COLUMN "totp_secret" text NULL COLLATE "C";
ALTER TABLE "users" ADD COLUMN "totp_step" bigint NULL;
ALTER TABLE "users" ADD COLUMN "totp_enabled_at" timestamp with time zone NULL;
ALTER TABLE "users" ADD COLUMN "password_changed_at" timestamp with time zone NULL;
ALTER TABLE "sessions" ADD COLUMN "proved_at" timestamp with time zone NULL;
CREATE TABLE "tokens" ( "id" uuid NOT NULL PRIMARY KEY, "user_id" uuid NOT NULL, "name" text NOT NULL COLLATE "C", "token_hash" text NOT NULL UNIQUE COLLATE "C", "hint" text NOT NULL COLLATE "C", "scopes" json NOT NULL, "created_at" timestamp with time zone NOT NULL, "expires_at" timestamp with time zone NULL, "last_used_at" timestamp with time zone NULL, "last_used_ip" text NULL COLLATE "C", FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE );
CREATE TABLE "auth_steps" ( "id" uuid NOT NULL PRIMARY KEY, "purpose" text NOT NULL CHECK (purpose IN ('mfa', 'reset', 'invite')) COLLATE "C", "token_hash" text NOT NULL UNIQUE COLLATE "C", "user_id" uuid NULL, "auth_epoch" bigint NULL, "payload" json NOT NULL, "attempts" integer NOT NULL, "created_at" timestamp with time zone NOT NULL, "expires_at" timestamp with time zone NOT NULL, FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE );
CREATE TABLE "recovery_codes" ( "id" uuid NOT NULL PRIMARY KEY, "user_id" uuid NOT NULL, "code_hash" text NOT NULL COLLATE "C", "used_at" timestamp with time zone NULL, FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE );
CREATE TABLE "audit_checkpoints" ( "seq" bigint NOT NULL PRIMARY KEY, "at" text NOT NULL COLLATE "C", "hash" text NOT NULL COLLATE "C", "key_id" text NOT NULL COLLATE "C", "signature" text NOT NULL COLLATE "C" );
CREATE INDEX tokens_user ON tokens (user_id);
CREATE INDEX auth_steps_user ON auth_steps (user_id);
CREATE INDEX auth_steps_expiry ON auth_steps (expires_at);
CREATE UNIQUE INDEX recovery_codes_once ON recovery_codes (user_id, code_hash);
CREATE TRIGGER audit_checkpoints_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
CREATE FUNCTION an_administrator_remains() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.role = 'admin' AND OLD.disabled_at IS NULL
            AND (TG_OP = 'DELETE' OR NEW.role <> 'admin' OR NEW.disabled_at IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM users WHERE id <> OLD.id AND role = 'admin' AND disabled_at IS NULL)
        THEN RAISE EXCEPTION 'the last administrator'; END IF;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW; END $$;
CREATE TRIGGER users_last_admin BEFORE UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION an_administrator_remains();
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0002_identity', 1767268800);
