UPDATE settings SET auth_enabled = TRUE, instance_name = 'Attic lab', version = 3;
INSERT INTO users (id, username, username_key, email, password_hash, role, auth_epoch, disabled_at, last_login_at, created_at, updated_at) VALUES
    (u(1), 'Maria', 'maria', 'maria@example.org', '$argon2id$one', 'admin', 4, NULL, '2026-01-02T08:00:00+00:00', '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
    (u(2), 'grace', 'grace', NULL, '$argon2id$two', 'viewer', 0, '2026-01-03T08:00:00+00:00', NULL, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO sessions (id, user_id, token_hash, auth_epoch, ip, user_agent, created_at, last_seen_at, expires_at) VALUES
    (u(3), u(1), 'ab12', 4, '192.0.2.1', 'a browser', '2026-01-02T08:00:00+00:00', '2026-01-02T08:00:00+00:00', '2026-02-01T08:00:00+00:00');
INSERT INTO networks (id, name, cidr, cidr_key, vlan, gateway, notes, source, version, created_at, updated_at) VALUES
    (u(4), 'home', '192.0.2.0/24', 'k', 7, '192.0.2.1', 'ä', 'manual', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO assets (id, name, name_key, kind, role, vendor, model, os, notes, status, source, typed_fields, first_seen_at, last_seen_at, version, created_at, updated_at) VALUES
    (u(5), 'Küche', 'küche', 'device', NULL, 'Acme', NULL, NULL, 'two' || 'lines', 'up', 'discovered', '["name"]', '2026-01-01T12:00:00+00:00', NULL, 2, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
    (u(6), 'nas', 'nas', 'storage', 'server', NULL, NULL, 'Linux', '', 'unknown', 'manual', '[]', NULL, NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO interfaces (id, asset_id, name, mac, vendor, version, created_at, updated_at) VALUES
    (u(7), u(5), 'eth0', '00:11:32:aa:bb:cc', NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO addresses (id, asset_id, interface_id, network_id, ip, ip_key, hostname, source, last_seen_at, version, created_at, updated_at) VALUES
    (u(8), u(5), u(7), u(4), '192.0.2.9', 'k', NULL, 'discovered', NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO services (id, asset_id, address_id, protocol, port, name, product, version_text, confidence, last_seen_at) VALUES
    (u(9), u(5), u(8), 'tcp', 22, 'ssh', NULL, NULL, 90, NULL);
INSERT INTO identities (asset_id, kind, value, last_seen_at) VALUES (u(5), 'mac', '00:11:32:aa:bb:cc', '2026-01-01T12:00:00+00:00');
INSERT INTO links (id, a_asset_id, b_asset_id, kind, evidence, label, version, created_at, updated_at) VALUES
    (u(10), u(5), u(6), 'ethernet', 'manual', NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO tags (id, name, name_key, color, version, created_at, updated_at) VALUES
    (u(11), 'prod', 'prod', '#112233', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00');
INSERT INTO asset_tags (asset_id, tag_id) VALUES (u(5), u(11));
INSERT INTO positions (asset_id, x, y, updated_at) VALUES (u(5), 1.5, -2.25, '2026-01-01T12:00:00+00:00');
INSERT INTO jobs (id, kind, dedup_key, payload, state, attempts, lease_owner, lease_until, last_error, created_at, finished_at) VALUES
    (u(12), 'scan', NULL, '{}', 'done', 1, NULL, NULL, NULL, '2026-01-01T12:00:00+00:00', NULL);
INSERT INTO scans (id, job_id, targets, probes, status, phase, addresses_total, addresses_done, hosts_found, findings_new, assets_seen, limitations, error, requested_by, cancel_requested, created_at, started_at, finished_at) VALUES
    (u(13), u(12), '["192.0.2.0/24"]', '[]', 'completed', NULL, 254, 254, 3, 1, 2, '[]', NULL, 'maria', FALSE, '2026-01-01T12:00:00+00:00', NULL, NULL);
INSERT INTO findings (id, scan_id, kind, state, title, asset_id, proposal, evidence, identities, confidence, created_at, last_seen_at, resolved_at, resolved_by, version) VALUES
    (u(14), u(13), 'new_asset', 'open', 'a host', NULL, '{}', '[]', '[]', 60, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00', NULL, NULL, 1);
INSERT INTO finding_keys (finding_id, kind, value) VALUES (u(14), 'mac', '00:11:32:aa:bb:cd');
