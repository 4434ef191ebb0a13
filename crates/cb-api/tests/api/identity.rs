//! Users, second factors, API tokens, and the end of everything that must end.

use std::time::{Duration, Instant};

use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::TimeDelta;
use http::Request;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinHandle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::site::{Answer, Ask, Login, Site, read_answer, served};
use crate::streams::{self, Socket};

pub const PASSWORD: &str = "nine blue herons wade";
const OTHER: &str = "two grey otters dive";

impl Site {
    pub async fn post(&self, by: &Login, path: &str, body: Value) -> Answer {
        self.ask(Ask::new("POST", path).write(by, &body)).await
    }

    pub async fn delete(&self, by: &Login, path: &str) -> Answer {
        self.ask(Ask::new("DELETE", path).write(by, &json!({}))).await
    }

    pub async fn patch(&self, by: &Login, path: &str, body: Value) -> Answer {
        self.ask(Ask::new("PATCH", path).write(by, &body)).await
    }

    pub async fn public(&self, path: &str, body: Value) -> Answer {
        self.ask(Ask::new("POST", path).json(body.to_string())).await
    }

    /// A user with `role`; answers their id.
    pub async fn user(&self, admin: &Login, name: &str, role: &str) -> String {
        let body = json!({ "username": name, "role": role, "password": PASSWORD });
        let answer = served(async || self.post(admin, "/api/v1/users", body.clone()).await).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.json()["id"])
    }

    pub async fn login(&self, name: &str, password: &str) -> Answer {
        self.public("/api/v1/auth/login", json!({ "username": name, "password": password })).await
    }

    pub async fn signed_in(&self, name: &str) -> Login {
        let answer = served(async || self.login(name, PASSWORD).await).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Login::from_answer(&answer)
    }

    /// The secret of a token with these scopes.
    pub async fn token(&self, by: &Login, scopes: &[&str]) -> String {
        let token = json!({ "name": "script", "scopes": scopes });
        let answer = served(async || self.post(by, "/api/v1/tokens", token.clone()).await).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        text(&answer.json()["secret"])
    }

    pub async fn by_token(&self, method: &str, path: &str, token: &str) -> Answer {
        let ask = Ask::new(method, path).header("Authorization", format!("Bearer {token}"));
        self.ask(if method == "GET" { ask } else { ask.json("{}") }).await
    }

    /// The session after a fresh proof.
    pub async fn proved(&self, by: &Login, proof: Value) -> Login {
        let answer = served(async || self.post(by, "/api/v1/auth/proof", proof.clone()).await).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Login::from_answer(&answer)
    }

    /// The administrator's.
    pub async fn proved_admin(&self, by: &Login) -> Login {
        self.proved(by, json!({ "password": cb_testkit::TestApp::PASSWORD })).await
    }

    /// The six digits that an authenticator shows now.
    pub fn code(&self, secret: &str) -> String {
        let shared = totp_rs::Secret::try_from_base32(secret).expect("base32");
        let totp = totp_rs::Builder::new().with_secret(shared).build().expect("a generator");
        totp.generate(u64::try_from(self.test.app.now().timestamp()).expect("after 1970")).to_string()
    }

    /// Turns one-time codes on; answers the secret, the recovery codes and the session's new form.
    pub async fn turn_on_totp(&self, by: &Login) -> (String, Vec<String>, Login) {
        let begun = self.post(by, "/api/v1/auth/totp", json!({})).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let secret = text(&begun.json()["secret"]);
        let done = self.post(by, "/api/v1/auth/totp/confirm", json!({ "code": self.code(&secret) })).await;
        assert_eq!(done.status, 200, "{done:?}");
        let codes = done.json()["recovery_codes"].as_array().expect("codes").iter().map(text).collect();
        // The next code is another one.
        self.test.clock.advance(TimeDelta::seconds(60));
        (secret, codes, Login::from_answer(&done))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}")).to_owned()
}

#[expect(clippy::print_stderr, reason = "a figure to be read")]
fn say(figure: &str) {
    eprintln!("{figure}");
}

pub async fn token_stream(site: &Site, token: &str, topic: &str) -> Socket {
    let request = Request::get(format!("wss://{}/api/v1/{topic}/stream", site.host()))
        .header("Host", site.host())
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Authorization", format!("Bearer {token}"))
        .body(())
        .expect("a request");
    client_async(request, site.connect().await).await.expect("opens").0
}

/// What is still alive after each event. `own` is the session that acts (or one of the user's, when somebody else acts),
/// `step` a sign-in that waits for its second factor.
const TABLE: &[(&str, &[&str])] = &[
    ("password changed", &["token"]),
    ("reset by link", &[]),
    ("disabled", &[]),
    ("role changed", &["token"]),
    ("passkey added", &["token"]),
    ("deleted", &[]),
    ("second factor off", &["token"]),
    ("second factor cleared by an administrator", &["token"]),
    ("sessions ended by an administrator", &["token"]),
    ("other sessions ended", &["own", "token", "step"]),
    ("one session ended", &["own", "token", "step"]),
    ("signed out", &["other", "token", "step"]),
    ("token deleted", &["own", "other", "step"]),
    ("nothing", &["own", "other", "token", "step"]),
];

/// Reads a stream until it is closed with 4401; answers when that was.
fn closing(mut socket: Socket) -> JoinHandle<Instant> {
    tokio::spawn(async move {
        assert_eq!(streams::closed(&mut socket).await, 4401);
        Instant::now()
    })
}

/// On each of two servers: the one that was not asked for it hears of it.
async fn ended(what: &str, lives: bool, until: Instant, answers: impl AsyncFn() -> u16) {
    for _ in 0..2 {
        let mut status = answers().await;
        while !lives && status == 200 && Instant::now() < until {
            status = answers().await;
        }
        assert_eq!(status == 200, lives, "{what} answers {status}");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_must_end_ends_within_a_second(#[values(Sqlite, Postgres)] database: Database) {
    let (site, mut admin) = Site::ready(database).await;
    let mut closings = Vec::new();
    for (n, (event, alive)) in TABLE.iter().enumerate() {
        let name = format!("user{n}");
        // What one row has tried does not slow the next one down.
        site.rest(TimeDelta::minutes(61));
        admin = site.proved_admin(&admin).await;
        let id = site.user(&admin, &name, "editor").await;
        // The second factor first: turning it on ends the others.
        let (secret, _, own) = site.turn_on_totp(&site.signed_in(&name).await).await;
        let asked = site.login(&name, PASSWORD).await.json();
        let mfa = json!({ "mfa_token": asked["mfa_token"], "code": site.code(&secret) });
        let other = Login::from_answer(&site.public("/api/v1/auth/mfa", mfa).await);
        site.test.clock.advance(TimeDelta::seconds(60));
        let token = site.token(&own, &["inventory:read"]).await;
        let step = text(&site.login(&name, PASSWORD).await.json()["mfa_token"]);
        let origin = site.origin();
        let own_socket = streams::open(&site, Some(&own), Some(&origin), "topology").await.expect("opens");
        let other_socket =
            streams::open(&site, Some(&other), Some(&origin), "topology").await.expect("opens");
        let token_socket = token_stream(&site, &token, "topology").await;
        // Each is read by itself: when it is closed must not depend on what the test does meanwhile.
        let (mut open, mut ending) = (Vec::new(), Vec::new());
        for (what, socket) in [("own", own_socket), ("other", other_socket), ("token", token_socket)] {
            if alive.contains(&what) {
                open.push((what, socket));
            } else {
                ending.push((what, closing(socket)));
            }
        }

        let user = format!("/api/v1/users/{id}");
        let answer = match *event {
            "password changed" => {
                let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
                site.post(&own, "/api/v1/auth/password", body).await
            }
            "reset by link" => {
                let link = site.post(&admin, &format!("{user}/reset-link"), json!({})).await;
                let path = text(&link.json()["path"]);
                let token = path.split_once('#').expect("a fragment").1;
                site.public("/api/v1/auth/reset", json!({ "token": token, "new_password": OTHER })).await
            }
            "disabled" => site.patch(&admin, &user, json!({ "disabled": true })).await,
            "role changed" => site.patch(&admin, &user, json!({ "role": "viewer" })).await,
            "deleted" => site.delete(&admin, &user).await,
            "passkey added" => site.register_passkey(&own, u8::try_from(n).expect("few")).await.1,
            "second factor off" => site.delete(&own, "/api/v1/auth/totp").await,
            "second factor cleared by an administrator" => {
                site.delete(&admin, &format!("{user}/second-factor")).await
            }
            "sessions ended by an administrator" => site.delete(&admin, &format!("{user}/sessions")).await,
            "other sessions ended" => site.delete(&own, "/api/v1/auth/sessions").await,
            "one session ended" => {
                let list = site.get(&own, "/api/v1/auth/sessions").await.json();
                let list = list.as_array().expect("sessions");
                assert_eq!(list.len(), 2, "{list:?}");
                let that = list.iter().find(|s| s["current"] == false).expect("the other");
                site.delete(&own, &format!("/api/v1/auth/sessions/{}", text(&that["id"]))).await
            }
            "signed out" => site.post(&own, "/api/v1/auth/logout", json!({})).await,
            "token deleted" => {
                let list = site.get(&own, "/api/v1/tokens").await.json();
                site.delete(&own, &format!("/api/v1/tokens/{}", text(&list[0]["id"]))).await
            }
            _ => site.get(&own, "/api/v1/auth/me").await,
        };
        let answered = Instant::now();
        assert!(answer.status < 300, "{event}: {answer:?}");

        let until = answered + if database == Sqlite { Duration::ZERO } else { streams::PATIENCE };
        for (what, login, lives) in
            [("own", &own, alive.contains(&"own")), ("other", &other, alive.contains(&"other"))]
        {
            let answers = async || site.get(login, "/api/v1/assets").await.status;
            ended(&format!("{event}: {what} session"), lives, until, answers).await;
        }
        let answers = async || site.by_token("GET", "/api/v1/assets", &token).await.status;
        ended(&format!("{event}: the token"), alive.contains(&"token"), until, answers).await;
        for (what, closed) in ending {
            let closed = closed.await.unwrap_or_else(|error| panic!("{event}: {what}: {error}"));
            let took = closed.saturating_duration_since(answered);
            assert!(took < streams::PATIENCE, "{event}: the stream of {what} took {took:?}");
            closings.push(took);
        }
        for (what, mut socket) in open {
            let quiet = tokio::time::timeout(Duration::from_millis(30), streams::closed(&mut socket)).await;
            assert!(quiet.is_err(), "{event}: the stream of {what} was closed");
        }
        let mfa = json!({ "mfa_token": step, "code": site.code(&secret) });
        let finished = site.public("/api/v1/auth/mfa", mfa).await.status;
        assert_eq!(
            finished == 200,
            alive.contains(&"step"),
            "{event}: the half-finished sign-in answers {finished}"
        );
    }
    closings.sort();
    let at = |q: usize| closings[(closings.len() - 1) * q / 100].as_millis();
    say(&format!(
        "{} streams closed: median {} ms, p90 {} ms, worst {} ms",
        closings.len(),
        at(50),
        at(90),
        at(100)
    ));
    // The machine may be late with some of them, and not with every other one.
    assert!(at(50) < 1_000, "{closings:?}");
}

#[rstest]
#[tokio::test]
async fn a_changed_password_keeps_this_session_under_a_new_id_and_is_in_the_log(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "viewer").await;
    let before = site.signed_in("grace").await;
    let wrong = json!({ "current_password": "not this one at all", "new_password": OTHER });
    let answer = site.post(&before, "/api/v1/auth/password", wrong).await;
    assert_eq!(
        (answer.status, answer.json()["errors"][0]["field"].as_str()),
        (422, Some("current_password"))
    );
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let answer = site.post(&before, "/api/v1/auth/password", body).await;
    assert_eq!(answer.status, 200);
    let after = Login::from_answer(&answer);
    assert_ne!(after.cookie, before.cookie);
    assert_eq!(site.get(&after, "/api/v1/auth/me").await.status, 200);
    assert_eq!(site.login("grace", PASSWORD).await.status, 401);
    assert_eq!(site.login("grace", OTHER).await.status, 200);
    let log = site.get(&admin, "/api/v1/audit-log?action=password_changed").await.json();
    assert_eq!(log["items"][0]["actor"]["name"], "grace");
    let verdict = site.get(&admin, "/api/v1/audit-log/verify").await.json();
    assert_eq!(verdict["ok"], true, "{verdict}");
}

#[rstest]
#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_counts_once(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    let (secret, recovery, own) = site.turn_on_totp(&site.signed_in("grace").await).await;
    let step = async || {
        let asked = site.login("grace", PASSWORD).await;
        assert!(asked.all("set-cookie").is_empty(), "a password alone opens nothing");
        let asked = asked.json();
        assert_eq!(
            (asked["mfa_required"].as_bool(), &asked["methods"]),
            (Some(true), &json!(["totp", "recovery_code"]))
        );
        text(&asked["mfa_token"])
    };
    let finish = async |token: &str, code: &str| {
        site.public("/api/v1/auth/mfa", json!({ "mfa_token": token, "code": code })).await.status
    };
    let code = site.code(&secret);
    assert_eq!(finish(&step().await, &code).await, 200);
    assert_eq!(finish(&step().await, &code).await, 401, "the same code again");
    let spoken = recovery[0].to_lowercase().replace('-', " ");
    assert_eq!(finish(&step().await, &spoken).await, 200, "a recovery code, as a person types it");
    assert_eq!(finish(&step().await, &recovery[0]).await, 401, "used up");
    assert_eq!(site.get(&own, "/api/v1/auth/totp").await.json()["recovery_codes_left"], 9);

    // A step takes five wrong answers and no sixth, not even the right one; and it is for five minutes.
    let one = step().await;
    site.test.clock.advance(TimeDelta::minutes(2));
    for _ in 0..5 {
        assert_eq!(finish(&one, "000000").await, 401);
        site.rest(TimeDelta::seconds(20));
    }
    site.rest(TimeDelta::minutes(16));
    assert_eq!(finish(&one, &site.code(&secret)).await, 401);
    let late = step().await;
    site.test.clock.advance(TimeDelta::minutes(6));
    assert_eq!(finish(&late, &site.code(&secret)).await, 401);
    // The secret is sealed in the database, and nowhere in the log.
    let log = site.get(&admin, "/api/v1/audit-log?limit=500").await.text();
    assert!(!log.contains(&secret) && !log.contains(&recovery[1]));
}

#[rstest]
#[tokio::test]
async fn a_token_is_cut_to_its_scopes_and_to_its_owner(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let id = site.user(&admin, "grace", "editor").await;
    let own = site.signed_in("grace").await;
    let more = json!({ "name": "x", "scopes": ["users:write"] });
    assert_eq!(site.post(&own, "/api/v1/tokens", more).await.status, 422, "more than the role permits");
    let reads = site.token(&own, &["inventory:read"]).await;
    let writes = site.token(&own, &["inventory:read", "inventory:write"]).await;
    assert!(writes.starts_with("cb_pat_") && writes.len() > 45);
    assert_eq!(site.by_token("GET", "/api/v1/assets", &reads).await.status, 200);
    assert_eq!(site.by_token("POST", "/api/v1/tags", &reads).await.status, 403);
    assert_eq!(site.by_token("POST", "/api/v1/tags", &writes).await.status, 422, "allowed, and empty");
    for path in ["/api/v1/auth/me", "/api/v1/auth/sessions", "/api/v1/tokens", "/api/v1/auth/totp"] {
        assert_eq!(site.by_token("GET", path, &writes).await.status, 404, "{path} is a session's");
    }
    assert_eq!(site.by_token("GET", "/api/v1/users", &writes).await.status, 403);
    // The list never shows it again.
    let list = site.get(&own, "/api/v1/tokens").await.text();
    assert!(!list.contains(&writes) && list.contains("last_used_at"));
    // A demoted owner's token writes no more.
    assert_eq!(
        site.patch(&admin, &format!("/api/v1/users/{id}"), json!({ "role": "viewer" })).await.status,
        200
    );
    assert_eq!(site.by_token("GET", "/api/v1/assets", &writes).await.status, 200);
    assert_eq!(site.by_token("POST", "/api/v1/tags", &writes).await.status, 403);
    // It ends when it says so.
    site.test.clock.advance(TimeDelta::days(91));
    assert_eq!(site.by_token("GET", "/api/v1/assets", &writes).await.status, 401);
    // Guesses are slowed, and a right token is not held up by them.
    let keys = site.login("maria", cb_testkit::TestApp::PASSWORD).await;
    let fresh = site.token(&Login::from_answer(&keys), &["inventory:read"]).await;
    let mut answers = Vec::new();
    for n in 0..8 {
        answers.push(site.by_token("GET", "/api/v1/assets", &format!("cb_pat_{n}")).await.status);
    }
    assert_eq!(answers[0], 401);
    assert_eq!(answers[7], 429);
    assert_eq!(site.by_token("GET", "/api/v1/assets", &fresh).await.status, 200);
}

#[rstest]
#[tokio::test]
async fn the_last_administrator_stays(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let me = text(&site.get(&admin, "/api/v1/auth/me").await.json()["user"]["id"]);
    let own = format!("/api/v1/users/{me}");
    for body in [json!({ "role": "viewer" }), json!({ "disabled": true })] {
        assert_eq!(site.patch(&admin, &own, body).await.status, 409);
    }
    assert_eq!(site.delete(&admin, &own).await.status, 409);
    site.user(&admin, "grace", "admin").await;
    assert_eq!(site.patch(&admin, &own, json!({ "role": "viewer" })).await.status, 200);
    site.has_ended(&admin, "a new role").await;
}

#[rstest]
#[tokio::test]
async fn what_changes_who_may_do_what_wants_a_fresh_proof(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let id = site.user(&admin, "grace", "viewer").await;
    site.test.clock.advance(TimeDelta::minutes(11));
    let promote =
        async |by: &Login| site.patch(by, &format!("/api/v1/users/{id}"), json!({ "role": "admin" })).await;
    let refused = promote(&admin).await;
    assert_eq!((refused.status, refused.json()["type"].as_str()), (403, Some("/problems/proof_required")));
    let token = json!({ "name": "x", "scopes": ["inventory:read"] });
    assert_eq!(site.post(&admin, "/api/v1/tokens", token).await.status, 403);
    let wrong = json!({ "password": "not this one" });
    assert_eq!(site.post(&admin, "/api/v1/auth/proof", wrong).await.status, 403);
    assert_eq!(promote(&admin).await.status, 403);
    let limit = site.get(&admin, "/api/v1/auth/me").await.json()["session_expires_at"].clone();
    let proved = site.proved_admin(&admin).await;
    assert_eq!(promote(&proved).await.status, 200);
    // A copy of the old cookie has not risen with it; and a proof does not make a session live longer.
    assert_ne!((&proved.cookie, &proved.csrf), (&admin.cookie, &admin.csrf));
    site.has_ended(&admin, "a proof").await;
    assert_eq!(site.get(&proved, "/api/v1/auth/me").await.json()["session_expires_at"], limit);
    let sessions = site.get(&proved, "/api/v1/auth/sessions").await.json();
    assert_eq!(sessions.as_array().map(Vec::len), Some(1), "{sessions}");
}

#[rstest]
#[tokio::test]
async fn an_invite_makes_one_user_once(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let made = site.post(&admin, "/api/v1/invites", json!({ "role": "editor" })).await;
    let path = text(&made.json()["path"]);
    let token = path.strip_prefix("/invite#").expect("a fragment");
    assert_eq!(site.get(&admin, "/api/v1/invites").await.json()[0]["role"], "editor");
    let accept = async |token: &str, name: &str| {
        let body = json!({ "token": token, "username": name, "password": PASSWORD });
        site.public("/api/v1/auth/invite", body).await
    };
    let usable = async |purpose: &str, token: &str| {
        let asked = site.public("/api/v1/auth/link", json!({ "purpose": purpose, "token": token })).await;
        assert!(asked.status == 204 || asked.status == 403, "{asked:?}");
        asked.status == 204
    };
    assert_eq!(accept("wrong", "eve").await.status, 403);
    assert!(!usable("reset", token).await, "only what it was made for");
    assert!(usable("invite", token).await && usable("invite", token).await, "asking does not use it up");
    let joined = accept(token, "grace").await;
    assert_eq!((joined.status, joined.json()["user"]["role"].as_str()), (201, Some("editor")));
    assert_eq!(accept(token, "eve").await.status, 403, "used");
    assert!(!usable("invite", token).await, "used");
    let made = text(&site.post(&admin, "/api/v1/invites", json!({ "role": "viewer" })).await.json()["path"]);
    let token = made.strip_prefix("/invite#").expect("a fragment");
    assert_eq!(accept(token, "GRACE").await.status, 409, "the name is taken, in any case");
    assert_eq!(accept(token, "heidi").await.status, 201, "and the invite is still good");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_the_old_password_that_is_under_way_does_not_survive(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    let own = site.signed_in("grace").await;
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    // Four: a fifth at once would be slowed. Each waits for its turn to be hashed, some until after the change.
    let logins = || site.login("grace", PASSWORD);
    let change = site.post(&own, "/api/v1/auth/password", body);
    let (changed, ..) = tokio::join!(change, logins(), logins(), logins(), logins());
    assert_eq!(changed.status, 200, "{changed:?}");
    let now = Login::from_answer(&changed);
    let sessions = site.get(&now, "/api/v1/auth/sessions").await.json();
    assert_eq!(sessions.as_array().expect("a list").len(), 1, "{sessions}");
}

/// A request that was let in before a revocation, whose body comes after it, writes nothing and opens nothing.
#[rstest]
#[tokio::test]
async fn a_write_that_was_under_way_does_not_survive(#[values(Sqlite, Postgres)] database: Database) {
    let (site, mut admin) = Site::ready(database).await;
    for (n, event) in ["password", "disabled", "role", "sessions", "deleted"].into_iter().enumerate() {
        let name = format!("user{n}");
        site.rest(TimeDelta::minutes(61));
        admin = site.proved_admin(&admin).await;
        let id = site.user(&admin, &name, "editor").await;
        let (thief, owner) = (site.signed_in(&name).await, site.signed_in(&name).await);
        let secret = text(&site.post(&thief, "/api/v1/auth/totp", json!({})).await.json()["secret"]);
        let token = site.token(&thief, &["inventory:read", "inventory:write"]).await;
        let (csrf, host) = (&thief.csrf, site.host());
        let code = json!({ "code": site.code(&secret) }).to_string();
        let name_and_color = json!({ "name": format!("tag {n}"), "color": "#112233" }).to_string();
        let by_session = format!("Cookie: {}\r\nX-CSRF-Token: {csrf}", thief.cookie);
        let by_token = format!("Authorization: Bearer {token}");
        let scopes = json!({ "name": "kept", "scopes": ["inventory:read"] }).to_string();
        let mut held = Vec::new();
        for (path, who, body) in [
            ("auth/totp/confirm", &by_session, &code),
            ("tokens", &by_session, &scopes),
            ("tags", &by_session, &name_and_color),
            ("tags", &by_token, &name_and_color),
        ] {
            let mut stream = site.connect().await;
            let head = format!(
                "POST /api/v1/{path} HTTP/1.1\r\nHost: {host}\r\n{who}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.expect("sent");
            stream.flush().await.expect("sent");
            held.push((path, who == &by_token, body.clone(), stream));
        }
        // The guard has let them in by then.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let user = format!("/api/v1/users/{id}");
        let done = match event {
            "password" => {
                let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
                site.post(&owner, "/api/v1/auth/password", body).await
            }
            "disabled" => site.patch(&admin, &user, json!({ "disabled": true })).await,
            "role" => site.patch(&admin, &user, json!({ "role": "viewer" })).await,
            "sessions" => site.delete(&admin, &format!("{user}/sessions")).await,
            _ => site.delete(&admin, &user).await,
        };
        assert!(done.status < 300, "{event}: {done:?}");
        for (path, is_token, body, mut stream) in held {
            stream.write_all(body.as_bytes()).await.expect("sent");
            stream.flush().await.expect("sent");
            let answer = read_answer(&mut stream, false).await.expect("an answer");
            // A token outlives a new password and an end of sessions; not a role that it was not made for.
            let lives = is_token && matches!(event, "password" | "sessions");
            assert_eq!(answer.status, if lives { 201 } else { 401 }, "{event}: {path}: {answer:?}");
            assert!(answer.all("set-cookie").is_empty(), "{event}: {path}");
        }
    }
}
