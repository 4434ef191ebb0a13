ALTER TABLE "assets" ADD COLUMN "status_set" text NULL COLLATE "C";
UPDATE assets SET status_set = status WHERE status IN ('degraded', 'down', 'maintenance')
        OR (status = 'up' AND last_seen_at IS NULL AND CAST(typed_fields AS text) LIKE '%"status"%');
UPDATE assets SET status = CASE WHEN last_seen_at IS NULL THEN 'unknown' ELSE 'up' END WHERE status_set IS NOT NULL;
DROP INDEX assets_status;
CREATE INDEX assets_shown_status ON assets (COALESCE(status_set, status), id);
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0014_asset_status', 1767268800);
