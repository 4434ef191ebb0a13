//! Signing in at a provider of OpenID Connect: a certified one, in a process of its own, over TLS.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use cb_core::{Clock as _, SystemClock};
use cb_net::dial;
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio_rustls::TlsConnector;

use crate::identity::PASSWORD;
use crate::site::{Answer, Ask, Held, Login, Site, exchange};

const SLUG: &str = "lab";

/// The provider's process.
struct Idp {
    process: Child,
    /// It dies of a closed pipe.
    _out: BufReader<ChildStdout>,
    said: Value,
    client: Arc<ClientConfig>,
}

impl Drop for Idp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Idp {
    fn start(site: &Site, userinfo_only: bool) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/e2e/oidc-provider.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .arg(format!("{}/api/v1/auth/oidc/{SLUG}/callback", site.origin()))
            .env("USERINFO_ONLY", if userinfo_only { "1" } else { "0" })
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node runs");
        let mut line = String::new();
        let mut out = BufReader::new(process.stdout.take().expect("piped"));
        out.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("`npm install` in web/ and openssl are needed");
        let mut roots = RootCertStore::empty();
        let pem = said["certificate"].as_str().expect("PEM").as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { process, _out: out, said, client: Arc::new(client) }
    }

    fn authority(&self) -> &str {
        text(&self.said["issuer"]).trim_start_matches("https://")
    }

    async fn ask(&self, method: &str, path: &str, cookies: &str, body: &str) -> Answer {
        let host = self.authority();
        let stream = dial::local(host.parse().expect("an address")).await.expect("connects");
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let stream = TlsConnector::from(self.client.clone()).connect(name, stream).await.expect("TLS");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\nContent-Length: {length}\r\n\r\n"
        );
        exchange(stream, format!("{head}{body}").as_bytes()).await
    }

    /// Who an account is.
    async fn account(&self, name: &str, claims: Value) {
        let done = self.ask("PUT", &format!("/test/accounts/{name}"), "", &claims.to_string()).await;
        assert_eq!(done.status, 204);
    }

    /// Goes to `url` as a browser does, as `who`, until the provider sends it back to us; answers path and query there.
    async fn visit(&self, site: &Site, url: &str, who: Value) -> String {
        assert_eq!(self.ask("PUT", "/test/next", "", &who.to_string()).await.status, 204);
        let mut jar: BTreeMap<String, String> = BTreeMap::new();
        let mut url = url.to_owned();
        for _ in 0..6 {
            if let Some(ours) = url.strip_prefix(&site.origin()) {
                return ours.to_owned();
            }
            let path = url.strip_prefix(text(&self.said["issuer"])).unwrap_or(&url).to_owned();
            let cookies: Vec<String> = jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
            let answer = self.ask("GET", &path, &cookies.join("; "), "").await;
            for cookie in answer.all("set-cookie") {
                let (name, value) =
                    cookie.split(';').next().and_then(|p| p.split_once('=')).expect("a cookie");
                jar.insert(name.to_owned(), value.to_owned());
            }
            url = answer
                .all("location")
                .first()
                .unwrap_or_else(|| panic!("{path}: {}", answer.text()))
                .to_string();
        }
        panic!("the provider goes round in circles: {url}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("a text: {value}"))
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{answer:?}");
    answer.one("location")
}

fn pair(answer: &Answer, name: &str) -> Option<String> {
    let all = answer.all("set-cookie");
    let found = all.iter().find(|c| c.starts_with(&format!("{name}=")))?;
    found.split(';').next().map(str::to_owned)
}

fn assert_problem(what: &str, answer: &Answer, code: &str) {
    let wanted = format!("/login?problem={code}&provider=Lab+ID");
    assert_eq!(location(answer), wanted, "{what}");
    assert_eq!(pair(answer, "__Host-cb_session"), None, "{what}");
    assert_eq!(pair(answer, "__Host-cb_oidc").as_deref(), Some("__Host-cb_oidc="), "{what}");
}

/// A site with the provider set up.
struct Lab {
    site: Site,
    admin: Login,
    idp: Idp,
    provider: Value,
}

impl Lab {
    async fn new(database: Database, userinfo_only: bool) -> Self {
        let (site, admin) = Box::pin(Site::ready(database)).await;
        // The provider's process lives in the present.
        site.test.clock.advance(SystemClock.now() - site.test.app.now());
        let idp = Idp::start(&site, userinfo_only);
        let mut lab = Self { site, admin, idp, provider: Value::Null };
        lab.proof().await;
        let made = lab.site.post(&lab.admin, "/api/v1/oidc-providers", lab.input()).await;
        assert_eq!(made.status, 201, "{made:?}");
        lab.provider = made.json();
        lab
    }

    fn input(&self) -> Value {
        json!({
            "slug": SLUG, "name": "Lab ID", "issuer": self.idp.said["issuer"], "client_id": self.idp.said["client_id"],
            "client_secret": self.idp.said["client_secret"], "certificate_sha256": self.idp.said["certificate_sha256"],
            "role_groups": [{ "group": "lab-admins", "role": "admin" }, { "group": "lab-editors", "role": "editor" }],
            "create_users": true,
        })
    }

    /// A fresh proof of the administrator's, and an hour of calm.
    async fn proof(&mut self) {
        let body =
            json!({ "username": cb_testkit::TestApp::USERNAME, "password": cb_testkit::TestApp::PASSWORD });
        let answer = self.site.public("/api/v1/auth/login", body).await;
        self.admin = Login::from_answer(&answer);
    }

    async fn change(&self, patch: Value) -> Answer {
        let at = format!("/api/v1/oidc-providers/{}", text(&self.provider["id"]));
        self.site.patch(&self.admin, &at, patch).await
    }

    /// Goes there and comes back; answers what our callback says, the cookie that went along and the way back.
    async fn round(&self, who: &str) -> (Answer, String, String) {
        let path = format!("/api/v1/auth/oidc/{SLUG}/start?next=%2Fmap");
        let away = self.site.ask(Ask::new("GET", &path)).await;
        let cookie = pair(&away, "__Host-cb_oidc").expect("a cookie");
        let back = self.idp.visit(&self.site, location(&away), json!({ "login": who })).await;
        (self.back(&back, &cookie).await, cookie, back)
    }

    async fn back(&self, path: &str, cookies: &str) -> Answer {
        self.site.ask(Ask::new("GET", path).header("Cookie", cookies)).await
    }

    /// The session that a way back has opened.
    async fn session(&self, answer: &Answer) -> Login {
        let cookie = pair(answer, "__Host-cb_session").unwrap_or_else(|| panic!("a session: {answer:?}"));
        let me = self.site.ask(Ask::new("GET", "/api/v1/auth/me").header("Cookie", &cookie)).await;
        Login { cookie, csrf: text(&me.json()["csrf_token"]).to_owned() }
    }

    async fn link(&self, by: &Login, who: &str) -> Answer {
        let asked = self.site.post(by, &format!("/api/v1/auth/oidc/{SLUG}/link"), json!({})).await;
        assert_eq!(asked.status, 200, "{asked:?}");
        let cookie = pair(&asked, "__Host-cb_oidc").expect("a cookie");
        let back = self.idp.visit(&self.site, text(&asked.json()["url"]), json!({ "login": who })).await;
        self.back(&back, &format!("{cookie}; {}", by.cookie)).await
    }
}

#[rstest]
#[tokio::test]
async fn a_provider_vouches_for_users_and_says_what_they_may(#[values(Sqlite, Postgres)] database: Database) {
    let mut lab = Lab::new(database, database == Postgres).await;
    assert!(lab.provider.get("client_secret").is_none() && lab.provider["has_client_secret"] == true);
    let methods = lab.site.ask(Ask::new("GET", "/api/v1/auth/methods")).await.json();
    assert_eq!(methods["providers"], json!([{ "slug": SLUG, "name": "Lab ID" }]));
    let test = format!("/api/v1/oidc-providers/{}/test", text(&lab.provider["id"]));
    let tested = lab.site.post(&lab.admin, &test, json!({})).await.json();
    assert_eq!((&tested["ok"], &tested["issuer"]), (&json!(true), &lab.idp.said["issuer"]), "{tested}");

    // Somebody new becomes a user, with the role of their group.
    let grace = json!({ "preferred_username": "grace", "groups": ["all", "lab-editors"], "email": "grace@lab.example", "email_verified": true });
    lab.idp.account("g-1", grace).await;
    let (answer, cookie, back) = lab.round("g-1").await;
    assert_eq!(location(&answer), "/map");
    let own = lab.session(&answer).await;
    let me = lab.site.get(&own, "/api/v1/auth/me").await.json();
    assert_eq!((&me["user"]["username"], &me["user"]["role"]), (&json!("grace"), &json!("editor")));
    assert_eq!((&me["user"]["has_password"], &me["proofs"]), (&json!(false), &json!([])));
    assert_eq!(me["user"]["email"], "grace@lab.example");
    // The provider takes its code once, and we the cookie.
    assert_problem("the same way back again", &lab.back(&back, &cookie).await, "provider_failed");
    assert_problem("without the cookie", &lab.back(&back, "x=y").await, "expired");
    let (again, ..) = lab.round("g-1").await;
    let second = lab.session(&again).await;
    assert_eq!(lab.site.get(&own, "/api/v1/auth/me").await.status, 200, "one user, two sessions");

    // Their group changes: what they have open ends, and the new role counts. None of the groups: no way in.
    lab.idp
        .account("g-1", json!({ "preferred_username": "grace", "groups": ["lab-editors", "lab-admins"] }))
        .await;
    let (answer, ..) = lab.round("g-1").await;
    let admin = lab.session(&answer).await;
    assert_eq!(lab.site.get(&admin, "/api/v1/auth/me").await.json()["user"]["role"], "admin");
    lab.site.has_ended(&second, "a new role").await;
    lab.idp.account("g-1", json!({ "preferred_username": "grace", "groups": [] })).await;
    assert_problem("no group", &lab.round("g-1").await.0, "no_role");
    lab.site.has_ended(&admin, "the provider lets them in no more").await;
    assert_eq!(lab.change(json!({ "default_role": "viewer" })).await.status, 200);
    let (answer, ..) = lab.round("g-1").await;
    let grace = lab.session(&answer).await;
    assert_eq!(lab.site.get(&grace, "/api/v1/auth/me").await.json()["user"]["role"], "viewer");

    // It is her only way in; with a password it no longer is.
    let identities = lab.site.get(&grace, "/api/v1/auth/identities").await.json();
    let unlink = format!("/api/v1/auth/identities/{}", text(&identities[0]["id"]));
    assert_eq!(lab.site.delete(&grace, &unlink).await.status, 409);
    assert_eq!(lab.site.delete(&lab.admin, &unlink).await.status, 404, "somebody else's");
    let password = lab.site.post(&grace, "/api/v1/auth/password", json!({ "new_password": PASSWORD })).await;
    let grace = Login::from_answer(&password);
    let other = lab.site.signed_in("grace").await;
    let gone = lab.site.delete(&grace, &unlink).await;
    assert_eq!(gone.status, 200, "{gone:?}");
    lab.site.has_ended(&other, "an unlink").await;
    assert_problem("a name that is taken", &lab.round("g-1").await.0, "name_taken");

    // The last administrator stays one, whatever the groups say; a disabled user stays out.
    lab.proof().await;
    let log = lab.site.get(&lab.admin, "/api/v1/audit-log?limit=500").await.text();
    assert!(!log.contains(text(&lab.idp.said["client_secret"])), "the secret is not in the log");
    for action in ["oidc_provider_created", "oidc_provider_updated", "identity_unlinked"] {
        assert!(log.contains(action), "{action}");
    }
    let verdict = lab.site.get(&lab.admin, "/api/v1/audit-log/verify").await.json();
    assert_eq!(verdict["ok"], true, "{verdict}");
}

#[rstest]
#[tokio::test]
async fn an_account_is_linked_by_its_user_and_nobody_else(#[values(Sqlite, Postgres)] database: Database) {
    let mut lab = Lab::new(database, false).await;
    let nobody = json!({ "create_users": false, "default_role": "admin" });
    assert_eq!(lab.change(nobody).await.status, 200);
    // The same e-mail address and name say nothing.
    let patch = json!({ "email": "maria@lab.example" });
    let me = lab.site.get(&lab.admin, "/api/v1/auth/me").await.json();
    let maria = format!("/api/v1/users/{}", text(&me["user"]["id"]));
    assert_eq!(lab.site.patch(&lab.admin, &maria, patch).await.status, 200);
    let claims =
        json!({ "preferred_username": "maria", "email": "maria@lab.example", "email_verified": true });
    lab.idp.account("m-1", claims).await;
    assert_problem("not linked", &lab.round("m-1").await.0, "unknown_user");
    assert_eq!(lab.change(json!({ "create_users": true })).await.status, 200);
    assert_problem("no second maria", &lab.round("m-1").await.0, "name_taken");

    // Another session cannot finish what this one has begun.
    let other = Login::from_answer(
        &lab.site.login(cb_testkit::TestApp::USERNAME, cb_testkit::TestApp::PASSWORD).await,
    );
    let asked = lab.site.post(&lab.admin, &format!("/api/v1/auth/oidc/{SLUG}/link"), json!({})).await;
    let cookie = pair(&asked, "__Host-cb_oidc").expect("a cookie");
    let back = lab.idp.visit(&lab.site, text(&asked.json()["url"]), json!({ "login": "m-1" })).await;
    let stolen = lab.back(&back, &format!("{cookie}; {}", other.cookie)).await;
    assert_problem("another session", &stolen, "expired");
    assert_problem("no session", &lab.back(&back, &cookie).await, "expired");

    let linked = lab.link(&lab.admin, "m-1").await;
    assert_eq!(location(&linked), "/account?linked=lab");
    let list = lab.site.get(&lab.admin, "/api/v1/auth/identities").await.json();
    assert_eq!((&list[0]["subject"], &list[0]["provider"]["slug"]), (&json!("m-1"), &json!(SLUG)));
    let (answer, ..) = lab.round("m-1").await;
    let by_provider = lab.session(&answer).await;
    let me = lab.site.get(&by_provider, "/api/v1/auth/me").await.json();
    assert_eq!((&me["user"]["username"], &me["user"]["role"]), (&json!("maria"), &json!("admin")));

    // One account, one user; one user, one account of a provider.
    lab.site.user(&lab.admin, "grace", "viewer").await;
    let grace = lab.site.signed_in("grace").await;
    assert_problem("maria's account", &lab.link(&grace, "m-1").await, "linked_elsewhere");
    assert_problem("a second account", &lab.link(&lab.admin, "m-2").await, "linked_elsewhere");

    // A second factor of ours is asked for here too.
    let (secret, _, _) = lab.site.turn_on_totp(&lab.admin).await;
    let (answer, ..) = lab.round("m-1").await;
    let fragment =
        location(&answer).strip_prefix("/login?next=%2Fmap#mfa_token=").expect("a step").to_owned();
    assert_eq!(pair(&answer, "__Host-cb_session"), None);
    let (token, methods) = fragment.split_once("&methods=").expect("methods");
    assert_eq!(methods, "totp,recovery_code");
    let step = json!({ "mfa_token": token, "code": lab.site.code(&secret) });
    let opened = lab.site.public("/api/v1/auth/mfa", step).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    lab.admin = Login::from_answer(&opened);

    // A disabled user is out, and who goes with the provider too.
    let linked = lab.link(&grace, "g-9").await;
    assert_eq!(location(&linked), "/account?linked=lab");
    let id = lab.site.get(&grace, "/api/v1/auth/me").await.json();
    let user = format!("/api/v1/users/{}", text(&id["user"]["id"]));
    assert_eq!(lab.site.patch(&lab.admin, &user, json!({ "disabled": true })).await.status, 200);
    assert_problem("a disabled user", &lab.round("g-9").await.0, "disabled");
    assert_eq!(lab.site.patch(&lab.admin, &user, json!({ "disabled": false })).await.status, 200);
    let grace = lab.site.signed_in("grace").await;
    let path = format!("/api/v1/oidc-providers/{}", text(&lab.provider["id"]));
    assert_eq!(lab.site.delete(&lab.admin, &path).await.status, 204);
    lab.site.has_ended(&grace, "her link is gone, her session too").await;
    let away = lab.site.ask(Ask::new("GET", &format!("/api/v1/auth/oidc/{SLUG}/start"))).await;
    assert_eq!(location(&away), "/login?problem=provider_failed");
}

#[tokio::test]
async fn what_a_provider_or_a_stranger_makes_up_is_refused() {
    let lab = Lab::new(Sqlite, false).await;
    lab.idp.account("g-1", json!({ "preferred_username": "grace", "groups": ["lab-editors"] })).await;
    let start = format!("/api/v1/auth/oidc/{SLUG}/start");
    let begin = async |next: &str| {
        let away = lab.site.ask(Ask::new("GET", &format!("{start}?next={next}"))).await;
        (location(&away).to_owned(), pair(&away, "__Host-cb_oidc").expect("a cookie"))
    };
    let visit = async |url: &str, who: Value| lab.idp.visit(&lab.site, url, who).await;

    let (url, cookie) = begin("%2F").await;
    for part in ["code_challenge_method=S256", "nonce=", "state=", "scope=openid+profile+email"] {
        assert!(url.contains(part), "{part} in {url}");
    }
    let back = visit(&url, json!({ "deny": true })).await;
    assert_problem("they said no", &lab.back(&back, &cookie).await, "denied");

    let login = || json!({ "login": "g-1" });
    let (url, cookie) = begin("%2F").await;
    let (_, elsewhere) = begin("%2F").await;
    let back = visit(&url, login()).await;
    assert_problem("another browser's sign-in", &lab.back(&back, &elsewhere).await, "expired");
    let other_state = back.replace("state=", "state=x");
    assert_problem("another state", &lab.back(&other_state, &cookie).await, "expired");
    let (before, _) = back.split_once("iss=").expect("RFC 9207");
    let mixed = format!("{before}iss=https%3A%2F%2Fevil.example");
    assert_problem("another issuer's code", &lab.back(&mixed, &cookie).await, "provider_failed");
    let forged = back.replace("code=", "code=x");
    assert_problem("a made-up code", &lab.back(&forged, &cookie).await, "provider_failed");
    lab.site.test.clock.advance(chrono::TimeDelta::minutes(11));
    assert_problem("too late", &lab.back(&back, &cookie).await, "expired");
    lab.site.test.clock.set(chrono::TimeDelta::minutes(-11));

    // A code with another sign-in's verifier: the provider itself refuses (RFC 7636).
    lab.site.test.clock.advance(chrono::TimeDelta::minutes(61));
    let (url, _) = begin("%2F").await;
    let (other, cookie) = begin("%2F").await;
    let code = visit(&url, login()).await;
    let state = |text: &str| {
        let rest = text.split_once("state=").expect("a state").1;
        rest.split('&').next().expect("its value").to_owned()
    };
    let swapped = code.replace(&state(&code), &state(&other));
    assert_problem("a swapped code", &lab.back(&swapped, &cookie).await, "provider_failed");

    // `next` stays here.
    lab.site.test.clock.advance(chrono::TimeDelta::minutes(61));
    lab.site.test.clock.set(SystemClock.now() - lab.site.test.app.now());
    for next in ["%2F%2Fevil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let (url, cookie) = begin(next).await;
        let answer = lab.back(&visit(&url, login()).await, &cookie).await;
        assert_eq!(location(&answer), "/", "{next}");
    }

    // A certificate that is not the pinned one; and what an administrator types.
    let pin =
        json!({ "certificate_sha256": "00".repeat(32), "client_secret": lab.idp.said["client_secret"] });
    let pin = lab.change(pin).await;
    assert_eq!(pin.status, 200, "{pin:?}");
    let away = lab.site.ask(Ask::new("GET", &start)).await;
    assert_eq!(location(&away), "/login?problem=provider_failed&provider=Lab+ID");
    let test = format!("/api/v1/oidc-providers/{}/test", text(&lab.provider["id"]));
    let tested = lab.site.post(&lab.admin, &test, json!({})).await.json();
    assert!(text(&tested["reason"]).contains("certificate"), "{tested}");
    for (field, patch) in [
        ("client_secret", json!({ "issuer": "https://127.0.0.1:1" })),
        ("issuer", json!({ "issuer": "http://id.example", "client_secret": "x" })),
        ("issuer", json!({ "issuer": "https://id.example/?a=b", "client_secret": "x" })),
        ("scopes", json!({ "scopes": ["profile"] })),
        ("scopes", json!({ "scopes": ["openid", "a b"] })),
        ("role_groups", json!({ "role_groups": [{ "group": "", "role": "admin" }] })),
        ("default_role", json!({ "role_groups": [] })),
        ("certificate_sha256", json!({ "certificate_sha256": "12:34", "client_secret": "x" })),
        ("name", json!({ "name": " " })),
    ] {
        let answer = lab.change(patch).await;
        assert_eq!(answer.status, 422, "{field}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    let again = lab.site.post(&lab.admin, "/api/v1/oidc-providers", lab.input()).await;
    assert_eq!((again.status, &again.json()["errors"][0]["field"]), (409, &json!("slug")), "{again:?}");
}

/// Every start asks the provider, so one place begins sixty a minute, at all servers together.
#[rstest]
#[tokio::test]
async fn one_place_begins_sixty_sign_ins_a_minute(#[values(Sqlite, Postgres)] database: Database) {
    let lab = Lab::new(database, false).await;
    let path = format!("/api/v1/auth/oidc/{SLUG}/start");
    let mut begun = 0;
    let refused = loop {
        let answer = lab.site.ask(Ask::new("GET", &path)).await;
        let to = location(&answer).to_owned();
        if !to.starts_with("https://") {
            break to;
        }
        begun += 1;
        // Redis counts by its own clock, so a slow machine begins some more. Two servers that count apart begin 120.
        assert!(begun < 120, "nobody counts");
    };
    assert_eq!(refused, "/login?problem=too_many");
    assert!(begun >= 60, "{begun}");
}

/// The browser itself comes here, so a page tells the outage.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_in_the_middle_of_a_sign_in_is_told_by_the_page() {
    let lab = Lab::new(Postgres, false).await;
    let start = format!("/api/v1/auth/oidc/{SLUG}/start");
    let away = lab.site.ask(Ask::new("GET", &start)).await;
    let cookie = pair(&away, "__Host-cb_oidc").expect("a cookie");
    lab.idp.account("g-1", json!({ "preferred_username": "grace", "groups": ["lab-editors"] })).await;
    let back = lab.idp.visit(&lab.site, location(&away), json!({ "login": "g-1" })).await;
    let held = Held::lock(&lab.site, "oidc_providers").await;
    let told = "/login?problem=unavailable";
    assert_eq!(location(&lab.site.ask(Ask::new("GET", &start)).await), told);
    assert_eq!(location(&lab.back(&back, &cookie).await), told);
    held.release().await;
    let (answer, ..) = lab.round("g-1").await;
    assert_eq!(location(&answer), "/map");
}

/// The client's secret may be a credential's: it goes to the token endpoint if the credential says so, and each time is a use.
#[rstest]
#[tokio::test]
async fn a_provider_signs_in_with_a_credential(#[values(Sqlite, Postgres)] database: Database) {
    let lab = Lab::new(database, false).await;
    lab.idp.account("g-1", json!({ "preferred_username": "grace", "groups": ["lab-editors"] })).await;
    let credential = |name: &str, hosts: Value, secret: &Value| {
        json!({
            "name": name, "kind": "oidc_client", "public": { "client_id": lab.idp.said["client_id"] },
            "secret": { "client_secret": secret }, "hosts": hosts,
        })
    };
    let add = async |body: Value| {
        let made = lab.site.post(&lab.admin, "/api/v1/credentials", body).await;
        assert_eq!(made.status, 201, "{made:?}");
        text(&made.json()["id"]).to_owned()
    };
    let elsewhere = add(credential("elsewhere", json!(["id.example"]), &lab.idp.said["client_secret"])).await;
    let wrong = add(credential("wrong", json!(["127.0.0.1:1-65535"]), &json!("x".repeat(32)))).await;
    let right =
        add(credential("right", json!(["127.0.0.0/8:1024-65535"]), &lab.idp.said["client_secret"])).await;
    let refused = async |patch: Value| {
        let answer = lab.change(patch).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.json()["errors"][0]["field"], "credential_id", "{answer:?}");
    };
    refused(json!({ "credential_id": elsewhere })).await;
    refused(json!({ "credential_id": uuid::Uuid::nil() })).await;
    let basic = json!({
        "name": "basic", "kind": "basic", "public": { "user": "x" }, "secret": { "password": "x" }, "hosts": ["127.0.0.1"],
    });
    refused(json!({ "credential_id": add(basic).await })).await;
    refused(json!({ "credential_id": right, "client_secret": "both" })).await;
    refused(json!({ "credential_id": right, "client_id": "both" })).await;

    assert_eq!(lab.change(json!({ "credential_id": wrong })).await.status, 200);
    assert_problem("a wrong secret", &lab.round("g-1").await.0, "provider_failed");
    let changed = lab.change(json!({ "credential_id": right })).await.json();
    assert_eq!((&changed["has_client_secret"], &changed["credential_id"]), (&json!(false), &json!(right)));
    let (answer, ..) = lab.round("g-1").await;
    assert_eq!(location(&answer), "/map");
    let uses = async |id: &str| {
        let log = lab.site.get(&lab.admin, &format!("/api/v1/credentials/{id}/uses")).await.json();
        let log = log["items"].as_array().expect("a list").clone();
        log.iter()
            .map(|u| (u["user_name"].clone(), u["purpose"].clone(), u["ok"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(uses(&right).await, [(json!("Lab ID"), json!("sign_in"), json!(true))]);
    assert_eq!(uses(&wrong).await, [(json!("Lab ID"), json!("sign_in"), json!(false))]);

    // What is used stays, and says by what.
    let path = format!("/api/v1/credentials/{right}");
    let shown = lab.site.get(&lab.admin, &path).await.json();
    assert_eq!(shown["used_by"][0]["name"], "Lab ID");
    assert_eq!(shown["used_by"][0]["id"], lab.provider["id"]);
    let kept = lab.site.delete(&lab.admin, &path).await;
    assert!(kept.status == 409 && kept.text().contains("Lab ID"), "{kept:?}");
    // The client's id follows the credential, and what it may no longer be sent to says so before it is.
    assert_eq!(
        lab.site.patch(&lab.admin, &path, json!({ "hosts": ["127.0.0.9:1024-65535"] })).await.status,
        200
    );
    let test = format!("/api/v1/oidc-providers/{}/test", text(&lab.provider["id"]));
    let tested = lab.site.post(&lab.admin, &test, json!({})).await.json();
    assert!(
        tested["ok"] == false && text(&tested["reason"]).contains("does not allow sending to 127.0.0.1"),
        "{tested}"
    );
    assert_problem("another place", &lab.round("g-1").await.0, "provider_failed");
    assert_eq!(uses(&right).await.len(), 1, "nothing was opened");
    let other = json!({ "public": { "client_id": "another" } });
    assert_eq!(lab.site.patch(&lab.admin, &path, other).await.status, 200);
    let providers = lab.site.get(&lab.admin, "/api/v1/oidc-providers").await.json();
    assert_eq!(providers[0]["client_id"], "another");
    // Its own again.
    refused(json!({ "client_id": lab.idp.said["client_id"] })).await;
    let own = json!({
        "credential_id": null, "client_id": lab.idp.said["client_id"], "client_secret": lab.idp.said["client_secret"],
    });
    let changed = lab.change(own).await.json();
    assert_eq!((&changed["has_client_secret"], &changed["credential_id"]), (&json!(true), &json!(null)));
    assert_eq!(lab.site.delete(&lab.admin, &path).await.status, 204);
}
