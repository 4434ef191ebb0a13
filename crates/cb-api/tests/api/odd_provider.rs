//! Providers of OpenID Connect that say odd things: one that signs whatever a test wants.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_net::http::Pin;
use cb_testkit::Database::{self, Postgres, Sqlite};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use rstest::rstest;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::site::{Answer, Ask, Login, Site};

/// What it says; a test changes it as it likes.
#[derive(Clone)]
struct Said {
    document: Value,
    keys: Value,
    claims: Value,
    header: Value,
}

struct Provider {
    issuer: String,
    pin: String,
    said: Arc<Mutex<Said>>,
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["id.test".to_owned()]).expect("a certificate");
        let pin = Pin::of(made.cert.der()).to_string();
        let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], private)
                .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let issuer = format!("https://{}", listener.local_addr().expect("bound"));
        let key = SigningKey::from_slice(&[7; 32]).expect("a scalar");
        let point = key.verifying_key().to_sec1_point(false);
        let said = Said {
            document: json!({
                "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
            }),
            keys: json!({ "keys": [{
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
                "x": b64(point.x().expect("x")), "y": b64(point.y().expect("y")),
            }] }),
            claims: json!({}),
            header: json!({ "alg": "ES256", "kid": "one", "typ": "JWT" }),
        };
        let said = Arc::new(Mutex::new(said));
        let shared = said.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, said, key) = (acceptor.clone(), shared.clone(), key.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.ok()?);
                    }
                    let request = String::from_utf8(request).ok()?;
                    let length = request
                        .lines()
                        .find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await.ok()?;
                    let said = said.lock().expect("not poisoned").clone();
                    let body = match request.split(' ').nth(1)? {
                        "/.well-known/openid-configuration" => said.document,
                        "/keys" => said.keys,
                        _ => json!({ "access_token": "a", "token_type": "Bearer", "id_token": signed(&key, &said) }),
                    }
                    .to_string();
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
                    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                    stream.write_all(answer.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        Self { issuer, pin, said }
    }

    fn say(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.said.lock().expect("not poisoned"));
    }

    fn document(&self) -> Value {
        self.said.lock().expect("not poisoned").document.clone()
    }
}

fn signed(key: &SigningKey, said: &Said) -> String {
    let message = format!("{}.{}", b64(said.header.to_string()), b64(said.claims.to_string()));
    let signature: Signature = key.sign(message.as_bytes());
    format!("{message}.{}", b64(signature.to_bytes()))
}

async fn added(site: &Site, admin: &Login, provider: &Provider, issuer: &str) -> String {
    let body = json!({
        "slug": "odd", "name": "Odd", "issuer": issuer, "client_id": "cb", "client_secret": "hush",
        "certificate_sha256": provider.pin, "default_role": "viewer", "create_users": true,
    });
    let made = site.post(admin, "/api/v1/oidc-providers", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    format!("/api/v1/oidc-providers/{}", made.json()["id"].as_str().expect("an id"))
}

/// Signs in there with an ID token that has these claims; answers what our callback says.
async fn sign_in(site: &Site, provider: &Provider, change: impl FnOnce(&mut Value)) -> Answer {
    let away = site.ask(Ask::new("GET", "/api/v1/auth/oidc/odd/start?next=%2Fmap")).await;
    assert_eq!(away.status, 303, "{away:?}");
    let cookie = away.cookie("__Host-cb_oidc=");
    let url = Url::parse(away.one("location")).expect("an address");
    let asked = |name: &str| url.query_pairs().find(|(n, _)| n == name).expect("there").1.into_owned();
    let now = site.test.app.now().timestamp();
    let mut claims = json!({
        "iss": provider.document()["issuer"], "sub": "o-1", "aud": "cb", "exp": now + 300, "iat": now, "nonce": asked("nonce"),
        "auth_time": now, "preferred_username": "olga", "groups": [],
    });
    change(&mut claims);
    provider.say(|said| said.claims = claims);
    let back = format!("/api/v1/auth/oidc/odd/callback?code=c&state={}", asked("state"));
    site.ask(Ask::new("GET", &back).header("Cookie", cookie)).await
}

/// Of the claims of an ID token, at this moment.
type Change = fn(&mut Value, i64);

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_counts_when_it_is_for_this_server(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let provider = Provider::start().await;
    added(&site, &admin, &provider, &provider.issuer).await;
    let cases: &[(&str, bool, Change)] = &[
        ("the control", true, |_, _| {}),
        ("several audiences", true, |c, _| c["aud"] = json!(["api", "cb"])),
        ("several audiences, issued to us", true, |c, _| {
            c["aud"] = json!(["api", "cb"]);
            c["azp"] = json!("cb");
        }),
        ("several audiences, issued to another", false, |c, _| {
            c["aud"] = json!(["api", "cb"]);
            c["azp"] = json!("api");
        }),
        ("one audience, issued to another", false, |c, _| c["azp"] = json!("api")),
        ("audiences without ours", false, |c, _| c["aud"] = json!(["api", "web"])),
        ("a verified address as a text", true, |c, _| {
            c["email"] = json!("olga@lab.example");
            c["email_verified"] = json!("true");
        }),
        ("good from now on", true, |c, now| c["nbf"] = json!(now)),
        ("not good yet", false, |c, now| c["nbf"] = json!(now + 3_600)),
        ("good from a fraction of a second on", true, |c, now| {
            c["nbf"] = format!("{now}.5").parse().expect("a number");
        }),
        ("good after all time", false, |c, _| c["nbf"] = json!(9.5e20)),
        ("good before all time", false, |c, _| c["nbf"] = json!(-9.5e20)),
        ("good from a text on", false, |c, _| c["nbf"] = json!("yesterday")),
    ];
    for (what, admitted, change) in cases {
        site.rest(chrono::TimeDelta::minutes(61));
        let now = site.test.app.now().timestamp();
        let answer = sign_in(&site, &provider, |claims| change(claims, now)).await;
        let to = answer.one("location");
        assert_eq!(to == "/map", *admitted, "{what}: {to}");
    }
    site.rest(chrono::TimeDelta::minutes(61));
    provider.say(|said| said.header["crit"] = json!(["https://example.org/x"]));
    let answer = sign_in(&site, &provider, |_| {}).await;
    assert!(answer.one("location").contains("problem=provider_failed"), "an extension: {answer:?}");
    provider.say(|said| said.header = json!({ "alg": "ES256", "kid": "one" }));
    assert_eq!(sign_in(&site, &provider, |_| {}).await.one("location"), "/map");
}

/// What a provider did to users, and that it failed, is in the log.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_does_is_in_the_log(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let provider = Provider::start().await;
    let path = added(&site, &admin, &provider, &provider.issuer).await;
    let groups =
        json!({ "role_groups": [{ "group": "ops", "role": "admin" }, { "group": "lab", "role": "editor" }] });
    assert_eq!(site.patch(&admin, &path, groups).await.status, 200);
    let with = async |groups: Value| sign_in(&site, &provider, |claims| claims["groups"] = groups).await;
    assert_eq!(with(json!(["lab", "all"])).await.one("location"), "/map");
    assert_eq!(with(json!(["lab", "ops", "all"])).await.one("location"), "/map");
    let log = async |action: &str| {
        let log = site.get(&admin, &format!("/api/v1/audit-log?action={action}")).await.json();
        log["items"].as_array().expect("a list").clone()
    };
    let made = &log("user_created").await[0];
    assert_eq!(made["actor"]["name"], "sign-in (odd account)");
    let told = json!({
        "username": "olga", "role": "editor", "provider": "odd", "subject": "o-1", "groups": ["lab"],
    });
    assert_eq!(made["detail"], told);
    let changed = &log("role_changed").await[0];
    let told = json!({
        "username": "olga", "role": { "from": "editor", "to": "admin" }, "provider": "odd", "subject": "o-1",
        "groups": ["ops", "lab"],
    });
    assert_eq!(changed["detail"], told);
    assert_eq!(changed["entity_id"], made["entity_id"]);

    assert!(log("login_failed").await.is_empty());
    let failed = sign_in(&site, &provider, |claims| claims["aud"] = json!("somebody")).await;
    assert!(failed.one("location").contains("problem=provider_failed"));
    let strange = site.ask(Ask::new("GET", "/api/v1/auth/oidc/odd/callback?code=c&state=x")).await;
    assert!(strange.one("location").contains("problem=expired"));
    let failed = log("login_failed").await;
    let told: Vec<_> = failed.iter().map(|entry| entry["detail"]["problem"].as_str()).collect();
    assert_eq!(told, [Some("expired"), Some("provider_failed")]);
    assert_eq!(failed[0]["detail"]["provider"], "odd");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_is_recognised_as_people_type_it(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let provider = Provider::start().await;
    let own = format!("{}/", provider.issuer);
    provider.say(|said| said.document["issuer"] = json!(own));
    let typed = format!("{}/.well-known/openid-configuration", provider.issuer);
    let path = added(&site, &admin, &provider, &typed).await;
    assert_eq!(site.get(&admin, &path).await.json()["issuer"], json!(provider.issuer));
    let typed = json!({ "issuer": format!("{typed}/") });
    assert_eq!(site.patch(&admin, &path, typed).await.json()["issuer"], json!(provider.issuer));
    let shouted = provider.issuer.replace("https://", "HTTPS://");
    let typed = site.patch(&admin, &path, json!({ "issuer": shouted })).await;
    assert_eq!(typed.json()["issuer"], json!(shouted), "{typed:?}");
    let test = async || site.post(&admin, &format!("{path}/test"), json!({})).await.json();
    let told = test().await;
    assert_eq!((&told["ok"], &told["own_spelling"]), (&json!(false), &json!(own)), "{told}");
    // One click takes it; the secret was typed for the same place.
    let taken = site.patch(&admin, &path, json!({ "issuer": told["own_spelling"] })).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    let told = test().await;
    assert_eq!((&told["ok"], &told["own_spelling"]), (&json!(true), &json!(null)), "{told}");
    assert_eq!(sign_in(&site, &provider, |_| {}).await.one("location"), "/map");
    // Another issuer at that address is no matter of spelling.
    provider.say(|said| said.document["issuer"] = json!("https://other.example"));
    let told = test().await;
    assert_eq!((&told["ok"], &told["own_spelling"]), (&json!(false), &json!(null)), "{told}");
    assert!(told["reason"].as_str().is_some_and(|r| r.contains("https://other.example")), "{told}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_used_says_why(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let provider = Provider::start().await;
    let path = added(&site, &admin, &provider, &provider.issuer).await;
    let whole = provider.said.lock().expect("not poisoned").clone();
    let reason = async || {
        let told = site.post(&admin, &format!("{path}/test"), json!({})).await.json();
        told["reason"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(reason().await, "", "the control");
    for keys in [json!({ "keys": [] }), json!({})] {
        provider.say(|said| said.keys = keys);
        let told = reason().await;
        assert!(told.contains("choose a signing key at the provider"), "{told}");
    }
    for endpoint in ["jwks_uri", "token_endpoint", "authorization_endpoint", "userinfo_endpoint"] {
        provider.say(|said| *said = whole.clone());
        provider.say(|said| said.document[endpoint] = json!("http://127.0.0.1:9/plain"));
        let told = reason().await;
        assert!(told.contains("does not use https"), "{endpoint}: {told}");
    }
    provider.say(|said| *said = whole.clone());
    provider.say(|said| said.document = json!([]));
    assert!(reason().await.contains("is not the description of a sign-in provider"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_wants_the_clients_secret_again(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let provider = Provider::start().await;
    let path = added(&site, &admin, &provider, &provider.issuer).await;
    for pin in [json!("ab".repeat(32)), json!(null)] {
        let refused = site.patch(&admin, &path, json!({ "certificate_sha256": pin })).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["field"]), (422, &json!("client_secret")));
    }
    let same = json!({ "certificate_sha256": provider.pin.to_uppercase() });
    assert_eq!(site.patch(&admin, &path, same).await.status, 200, "the same in another spelling");
    let given = json!({ "certificate_sha256": "ab".repeat(32), "client_secret": "hush" });
    assert_eq!(site.patch(&admin, &path, given).await.status, 200);
}
