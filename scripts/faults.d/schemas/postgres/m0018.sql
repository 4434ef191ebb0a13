CREATE TABLE "views" ( "id" uuid NOT NULL PRIMARY KEY, "user_id" uuid NOT NULL, "list" text NOT NULL COLLATE "C", "name" text NOT NULL COLLATE "C", "name_key" text NOT NULL COLLATE "C", "shows" json NOT NULL, "version" bigint NOT NULL, "created_at" timestamp with time zone NOT NULL, "updated_at" timestamp with time zone NOT NULL, FOREIGN KEY ("user_id") REFERENCES "users" ("id") ON DELETE CASCADE );
CREATE UNIQUE INDEX views_name ON views (user_id, list, name_key);
INSERT INTO seaql_migrations (version, applied_at) VALUES ('m0018_views', 1767268800);
