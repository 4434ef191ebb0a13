CREATE OR REPLACE FUNCTION audit_log_keeps_its_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit_anchor WHERE OLD.seq <= seq) THEN RETURN OLD; END IF;
        ELSIF NOT coalesce((SELECT max(seq) FROM audit_log) >= NEW.seq, false) THEN RETURN NEW; END IF;
        RAISE EXCEPTION 'the audit log is append-only'; END $$;
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0023_audit_order', 1767268800);
