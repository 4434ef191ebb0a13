ALTER TABLE "findings" ADD COLUMN "review_id" uuid NULL;
ALTER TABLE "findings" ADD COLUMN "review" json NULL;
ALTER TABLE "findings" ADD COLUMN "missed_at" timestamp with time zone NULL;
ALTER TABLE "addresses" ADD COLUMN "seen_by" text NULL COLLATE "C";
ALTER TABLE "addresses" ADD COLUMN "missed_at" timestamp with time zone NULL;
ALTER TABLE "assets" ADD COLUMN "status_since" timestamp with time zone NULL;
CREATE INDEX findings_review ON findings (review_id);
CREATE INDEX addresses_key ON addresses (ip_key);
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0017_review_and_sight', 1767268800);
