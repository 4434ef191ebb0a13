ALTER TABLE "settings" ADD COLUMN "audit_retention_days" integer NULL CHECK (audit_retention_days BETWEEN 30 AND 3650);
CREATE TABLE "audit_anchor" ( "id" integer NOT NULL PRIMARY KEY CHECK ("id" = 1), "seq" bigint NOT NULL, "hash" text NOT NULL COLLATE "C", "at" text NOT NULL COLLATE "C", "key_id" text NOT NULL COLLATE "C", "signature" text NOT NULL COLLATE "C" );
DROP TRIGGER audit_log_no_change ON audit_log;
CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
CREATE FUNCTION audit_log_keeps_its_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit_anchor WHERE OLD.seq <= seq) THEN RETURN OLD; END IF;
        ELSIF NOT EXISTS (SELECT 1 FROM audit_log WHERE seq >= NEW.seq) THEN RETURN NEW; END IF;
        RAISE EXCEPTION 'the audit log is append-only'; END $$;
CREATE TRIGGER audit_log_in_order BEFORE INSERT OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_keeps_its_order();
CREATE FUNCTION audit_anchor_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP IN ('DELETE', 'TRUNCATE') THEN RAISE EXCEPTION 'the anchor moves forward only'; END IF;
        IF TG_OP = 'UPDATE' AND NEW.seq <= OLD.seq THEN RAISE EXCEPTION 'the anchor moves forward only'; END IF;
        IF NEW.seq > (SELECT seq FROM audit_head) - 1000
            OR NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash)
        THEN RAISE EXCEPTION 'the anchor stands on an old entry'; END IF;
        RETURN NEW; END $$;
CREATE TRIGGER audit_anchor_forward BEFORE INSERT OR UPDATE OR DELETE ON audit_anchor FOR EACH ROW EXECUTE FUNCTION audit_anchor_moves_forward();
CREATE TRIGGER audit_anchor_no_truncate BEFORE TRUNCATE ON audit_anchor FOR EACH STATEMENT EXECUTE FUNCTION audit_anchor_moves_forward();
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0004_audit_retention', 1767268800);
