//! Guessing at accounts: how it is slowed down, whom it does not keep out, and the trace that it leaves.

use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::TimeDelta;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::identity::PASSWORD;
use crate::site::{Answer, Ask, Held, Login, PROXY, Site};

impl Site {
    /// Signs in from an address, in a browser with these cookies.
    async fn login_from(&self, address: &str, cookie: &str, name: &str, password: &str) -> Answer {
        let body = json!({ "username": name, "password": password });
        self.ask_from(address, cookie, "/api/v1/auth/login", &body).await
    }

    async fn ask_from(&self, address: &str, cookie: &str, path: &str, body: &Value) -> Answer {
        let ask = Ask::new("POST", path).header("X-Forwarded-For", address);
        let ask = if cookie.is_empty() { ask } else { ask.header("Cookie", cookie) };
        self.ask(ask.json(body.to_string())).await
    }

    /// The entries of an action, the newest first.
    async fn entries(&self, by: &Login, action: &str) -> Vec<Value> {
        let log = self.get(by, &format!("/api/v1/audit-log?limit=500&action={action}")).await.json();
        log["items"].as_array().expect("a list").clone()
    }
}

const DEVICE: &str = "__Host-cb_device_";

/// While the database saves nothing, no sign-in succeeds. Those attempts are nobody's guesses: afterwards everybody gets in at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_the_database_shuts_nobody_out() {
    let (site, admin) = Site::behind_proxy(Postgres).await;
    site.user(&admin, "grace", "editor").await;
    let held = Held::lock(&site, "sessions").await;
    for _ in 0..3 {
        let attempts = (0..4).map(|_| site.login_from("192.0.2.1", "", "grace", PASSWORD));
        let answers: Vec<u16> = join_all(attempts).await.iter().map(|answer| answer.status).collect();
        assert_eq!(answers, [503; 4]);
    }
    held.release().await;
    assert_eq!(site.login_from("192.0.2.1", "", "grace", PASSWORD).await.status, 200);
}

#[rstest]
#[tokio::test]
async fn one_account_is_slowed_for_all_strangers_together_and_not_for_its_owner(
    #[values(Sqlite, Postgres)] database: Database,
) {
    // One server counts by the clock of the test. By that of Redis the wait of two seconds ends while a slow machine still asks.
    let (site, admin) = Site::alone_ready(database, &PROXY).await;
    site.user(&admin, "grace", "editor").await;
    site.user(&admin, "alan", "editor").await;
    let known = site.login_from("192.0.2.1", "", "grace", PASSWORD).await;
    assert_eq!(known.status, 200, "{known:?}");
    let device = known.cookie(DEVICE);
    let alans = site.login_from("192.0.2.1", "", "alan", PASSWORD).await.cookie(DEVICE);
    assert!(!device.contains("grace"));
    assert_ne!(device.split('=').next(), alans.split('=').next(), "one for each account");

    let mut answers = Vec::new();
    for n in 0..60 {
        let address = format!("198.51.100.{n}");
        answers.push(site.login_from(&address, "", "grace", "not this one at all").await.status);
    }
    let tried = answers.iter().filter(|status| **status == 401).count();
    assert_eq!(tried, 20, "{answers:?}");
    assert_eq!(answers.last(), Some(&429));
    // A stranger is kept out with the right password too, the owner in a known browser is not, wherever they are.
    assert_eq!(site.login_from("198.51.100.200", "", "grace", PASSWORD).await.status, 429);
    assert_eq!(
        site.login_from("198.51.100.200", &alans, "grace", PASSWORD).await.status,
        429,
        "another's browser"
    );
    let forged = format!("{device}x");
    assert_eq!(site.login_from("198.51.100.200", &forged, "grace", PASSWORD).await.status, 429);
    assert_eq!(site.login_from("198.51.100.5", &device, "grace", PASSWORD).await.status, 200);
    // Others sign in as ever.
    assert_eq!(site.login_from("203.0.113.9", "", "alan", PASSWORD).await.status, 200);
    // A known browser has a budget, and only that.
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(site.login_from("192.0.2.1", &device, "grace", "not this one at all").await.status);
    }
    assert_eq!(answers, [401, 401, 401, 401, 401, 429, 429, 429]);
}

#[rstest]
#[tokio::test]
async fn who_knows_the_password_does_not_keep_the_owner_out_of_the_second_factor(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::alone_ready(database, &PROXY).await;
    site.user(&admin, "grace", "editor").await;
    let (secret, ..) = site.turn_on_totp(&site.signed_in("grace").await).await;
    let step = async |address: &str, cookie: &str| {
        let asked = site.login_from(address, cookie, "grace", PASSWORD).await;
        assert_eq!(asked.status, 200, "{asked:?}");
        assert!(asked.all("set-cookie").is_empty(), "a password alone makes no browser known");
        asked.json()["mfa_token"].clone()
    };
    let finish = async |address: &str, cookie: &str, token: &Value, code: &str| {
        let body = json!({ "mfa_token": token, "code": code });
        site.ask_from(address, cookie, "/api/v1/auth/mfa", &body).await
    };
    let opened = finish("192.0.2.1", "", &step("192.0.2.1", "").await, &site.code(&secret)).await;
    let device = opened.cookie(DEVICE);
    site.test.clock.advance(TimeDelta::seconds(60));

    let owners = step("192.0.2.1", &device).await;
    // The thief begins many steps and answers wrongly, from many addresses.
    let mut statuses = Vec::new();
    for n in 0..30 {
        let address = format!("198.51.100.{n}");
        statuses.push(finish(&address, "", &step(&address, "").await, "000000").await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 20, "{statuses:?}");
    assert_eq!(statuses.last(), Some(&429), "the second factor is slowed for strangers together");
    let opened = finish("192.0.2.1", &device, &owners, &site.code(&secret)).await;
    assert_eq!(opened.status, 200, "the owner's step is still there: {opened:?}");
}

#[rstest]
#[tokio::test]
async fn with_a_second_factor_a_password_alone_is_no_fresh_proof(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    let (secret, recovery, own) = site.turn_on_totp(&site.signed_in("grace").await).await;
    assert_eq!(site.get(&own, "/api/v1/auth/me").await.json()["proofs"], json!(["password_and_code"]));
    site.test.clock.advance(TimeDelta::minutes(11));
    let prove = async |body: Value| site.post(&own, "/api/v1/auth/proof", body).await;
    let alone = prove(json!({ "password": PASSWORD })).await;
    assert_eq!((alone.status, alone.json()["errors"][0]["field"].as_str()), (422, Some("code")), "{alone:?}");
    let alone = prove(json!({ "code": site.code(&secret) })).await;
    assert_eq!(
        (alone.status, alone.json()["errors"][0]["field"].as_str()),
        (422, Some("password")),
        "{alone:?}"
    );
    let wrong = json!({ "password": PASSWORD, "code": "000000" });
    assert_eq!(prove(wrong).await.status, 403);
    // A wrong password does not use a code up.
    let wrong = json!({ "password": "not this one at all", "code": recovery[0] });
    assert_eq!(prove(wrong).await.status, 403);
    // Nor does a changed password make up for the second factor.
    let change = json!({ "current_password": PASSWORD, "new_password": "two grey otters dive" });
    let refused = site.post(&own, "/api/v1/auth/password", change.clone()).await;
    assert_eq!((refused.status, refused.json()["type"].as_str()), (403, Some("/problems/proof_required")));
    let right = json!({ "password": PASSWORD, "code": recovery[0] });
    let own = site.proved(&own, right).await;
    assert_eq!(site.post(&own, "/api/v1/auth/password", change).await.status, 200);
}

#[rstest]
#[tokio::test]
async fn a_proof_counts_for_ten_minutes_whatever_is_done_with_it(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    let own = site.signed_in("grace").await;
    site.test.clock.advance(TimeDelta::minutes(9));
    let (_, _, own) = site.turn_on_totp(&own).await;
    site.test.clock.advance(TimeDelta::minutes(1));
    // The session has a new id since a minute; its proof is ten minutes old.
    assert_eq!(site.delete(&own, "/api/v1/auth/totp").await.status, 403);
}

#[rstest]
#[tokio::test]
async fn wrong_guesses_leave_one_entry_and_then_their_count(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::alone_ready(database, &[]).await;
    site.user(&admin, "grace", "editor").await;
    let own = site.signed_in("grace").await;
    let wrong = json!({ "current_password": "not this one at all", "new_password": "two grey otters dive" });
    let public: [(&str, Value, u16); 3] = [
        ("/api/v1/auth/reset", json!({ "token": "x", "new_password": "two grey otters dive" }), 403),
        ("/api/v1/auth/invite", json!({ "token": "x", "username": "eve", "password": PASSWORD }), 403),
        ("/api/v1/auth/login", json!({ "username": "grace", "password": "not this one" }), 401),
    ];
    for _ in 0..4 {
        assert_eq!(site.post(&own, "/api/v1/auth/password", wrong.clone()).await.status, 422);
        for (path, body, status) in &public {
            assert_eq!(site.public(path, body.clone()).await.status, *status, "{path}");
        }
        assert_eq!(site.by_token("GET", "/api/v1/assets", "cb_pat_x").await.status, 401);
    }
    let actions =
        ["password_change_failed", "password_reset_failed", "invite_failed", "login_failed", "token_refused"];
    for action in actions {
        let entries = site.entries(&admin, action).await;
        let counts: Vec<_> = entries.iter().map(|e| e["detail"]["count"].as_i64()).collect();
        assert_eq!(counts, [Some(1)], "{action}: the first is told at once");
        assert_eq!(entries[0]["address"], "127.0.0.1", "{action}");
    }
    let entry = &site.entries(&admin, "password_change_failed").await[0];
    assert_eq!((&entry["actor"]["name"], &entry["detail"]["username"]), (&json!("grace"), &json!("grace")));
    assert_eq!(entry["entity_kind"], "user");
    cb_app::auth::guesses::close(&site.test.app, false).await.expect("written");
    assert_eq!(site.entries(&admin, "invite_failed").await.len(), 1, "the minute is not over");
    site.test.clock.advance(TimeDelta::seconds(61));
    cb_app::auth::guesses::close(&site.test.app, false).await.expect("written");
    for action in actions {
        let entries = site.entries(&admin, action).await;
        let counts: Vec<_> = entries.iter().map(|e| e["detail"]["count"].as_i64()).collect();
        assert_eq!(counts, [Some(3), Some(1)], "{action}: then the others, with their count");
        assert!(entries[0]["detail"]["since"].is_string(), "{action}");
    }
    // The session that made them may have ended since.
    assert_eq!(site.post(&own, "/api/v1/auth/password", wrong.clone()).await.status, 422);
    assert_eq!(site.post(&own, "/api/v1/auth/password", wrong).await.status, 429);
    site.test.clock.advance(TimeDelta::seconds(3));
    assert_eq!(site.post(&own, "/api/v1/auth/logout", json!({})).await.status, 204);
    cb_app::auth::guesses::close(&site.test.app, true).await.expect("written");
    let verdict = site.get(&admin, "/api/v1/audit-log/verify").await.json();
    assert_eq!(verdict["ok"], true, "{verdict}");
}

/// However many addresses and names somebody has. Each server counts those that it has refused.
#[rstest]
#[tokio::test]
async fn guesses_cannot_flood_the_log(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::alone_ready(database, &PROXY).await;
    for n in 0..600 {
        let address = format!("2001:db8:{n:x}::1");
        let body = json!({ "token": format!("x{n}"), "username": "eve", "password": PASSWORD });
        let answer = site.ask_from(&address, "", "/api/v1/auth/invite", &body).await;
        assert_eq!(answer.status, 403);
    }
    let entries = site.entries(&admin, "invite_failed").await;
    assert_eq!(entries.len(), 201);
    cb_app::auth::guesses::close(&site.test.app, true).await.expect("written");
    let entries = site.entries(&admin, "invite_failed").await;
    let count: i64 = entries.iter().filter_map(|e| e["detail"]["count"].as_i64()).sum();
    assert_eq!((entries.len(), count), (202, 600), "each is counted");
    assert_eq!(entries[0]["detail"]["many"], true);
}

#[rstest]
#[tokio::test]
async fn a_password_typed_into_the_name_field_is_not_kept(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let secret = "correct horse battery staple";
    for _ in 0..2 {
        assert_eq!(site.login(secret, "").await.status, 401);
        site.test.clock.advance(TimeDelta::seconds(61));
    }
    assert_eq!(site.login("somebody else", "").await.status, 401);
    let log = site.get(&admin, "/api/v1/audit-log?limit=500").await.text();
    assert!(!log.contains("horse") && !log.contains("somebody else"), "{log}");
    let entries = site.entries(&admin, "login_failed").await;
    let alias = |n: usize| entries[n]["detail"]["name_alias"].as_str().expect("an alias").to_owned();
    assert_eq!(alias(1), alias(2), "a repetition shows");
    assert_ne!(alias(0), alias(1));
    assert_eq!(entries[1]["detail"]["name_length"], 28);
    // The name of a user is no secret.
    assert_eq!(site.login("MARIA", "wrong").await.status, 401);
    let entries = site.entries(&admin, "login_failed").await;
    assert_eq!(entries[0]["detail"]["username"], cb_testkit::TestApp::USERNAME);
}

/// Whatever makes a user or changes a role: each is an entry of its own.
#[rstest]
#[tokio::test]
async fn every_user_made_and_every_role_changed_is_in_the_log(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let id = site.user(&admin, "grace", "viewer").await;
    let invite = site.post(&admin, "/api/v1/invites", json!({ "role": "editor" })).await.json();
    let token = invite["path"].as_str().and_then(|p| p.strip_prefix("/invite#")).expect("a link").to_owned();
    let body = json!({ "token": token, "username": "heidi", "password": PASSWORD });
    assert_eq!(site.public("/api/v1/auth/invite", body).await.status, 201);
    let made = site.entries(&admin, "user_created").await;
    let names: Vec<_> = made.iter().map(|e| e["detail"]["username"].as_str()).collect();
    assert_eq!(names, [Some("heidi"), Some("grace"), Some(cb_testkit::TestApp::USERNAME)]);
    assert_eq!(made[0]["detail"]["invited_by"], cb_testkit::TestApp::USERNAME);

    let both = json!({ "email": "grace@example.org", "role": "editor", "disabled": true });
    assert_eq!(site.patch(&admin, &format!("/api/v1/users/{id}"), both).await.status, 200);
    for (action, field, to) in [
        ("user_updated", "email", json!("grace@example.org")),
        ("role_changed", "role", json!("editor")),
        ("user_disabled", "disabled", json!(true)),
    ] {
        let entries = site.entries(&admin, action).await;
        assert_eq!(entries.len(), 1, "{action}");
        assert_eq!(entries[0]["detail"][field]["to"], to, "{action}");
        assert_eq!(entries[0]["entity_id"], json!(id), "{action}");
    }
    assert_eq!(site.entries(&admin, "role_changed").await[0]["detail"]["role"]["from"], "viewer");
    let verdict = site.get(&admin, "/api/v1/audit-log/verify").await.json();
    assert_eq!(verdict["ok"], true, "{verdict}");
}

/// Whoever shows the second factor of no sign-in has proved nothing. They leave one entry, as every guess does.
#[rstest]
#[tokio::test]
async fn a_second_factor_of_nobody_cannot_flood_the_log(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::alone_ready(database, &PROXY).await;
    for n in 0..30 {
        let address = format!("198.51.100.{}", n % 3);
        let body = json!({ "mfa_token": format!("{n:043}"), "code": "123456" });
        let answer = site.ask_from(&address, "", "/api/v1/auth/mfa", &body).await;
        assert!(matches!(answer.status, 401 | 429), "{answer:?}");
    }
    let entries = site.entries(&admin, "login_failed").await;
    assert_eq!(entries.len(), 3, "one for each place: {entries:?}");
}
