//! Credentials through the front door: what an administrator learns of a test, what everybody else does, and that a secret does
//! not leave before both host and certificate are the right ones.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cb_net::http::Pin;
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::site::{Answer, Login, Site};

/// A web server with a certificate that nobody signed; `/private` wants `root` and `calvin`.
struct Device {
    address: SocketAddr,
    pin: String,
    acceptor: TlsAcceptor,
    /// Every request that it has read.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Device {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["bmc.test".to_owned()]).expect("a certificate");
        let pin = Pin::of(made.cert.der()).to_string();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_no_client_auth()
                .with_single_cert(vec![made.cert.der().clone()], key)
                .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let shown = acceptor.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, log) = (acceptor.clone(), log.clone());
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.ok()?);
                    }
                    let request = String::from_utf8(request).ok()?;
                    let (status, body) = answer(&request);
                    // A document of OpenID Connect names its own server.
                    let host =
                        request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
                    let body = body.replace("HOST", host);
                    log.lock().expect("not poisoned").push(request);
                    let answer = format!(
                        "HTTP/1.1 {status}\r\nServer: bmc/1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    stream.write_all(answer.as_bytes()).await.ok()?;
                    stream.shutdown().await.ok()
                });
            }
        });
        Self { address, pin, acceptor: shown, heard }
    }

    fn heard(&self) -> usize {
        self.heard.lock().expect("not poisoned").len()
    }

    fn there(&self, path: &str) -> Value {
        json!({ "host": "127.0.0.1", "port": self.address.port(), "path": path })
    }
}

/// `root` and `calvin`, in base64.
const ROOT: &str = "basic cm9vddpjywx2aw4=";

fn answer(request: &str) -> (&'static str, &'static str) {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let by = request
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("authorization: ").map(str::to_owned));
    let by = by.unwrap_or_default();
    match (path, by.as_str()) {
        ("/open", _) | ("/private", ROOT) | ("/token", "bearer t0k3n") => ("200 OK", "{}"),
        ("/forbidden", ROOT) => ("403 Forbidden", ""),
        ("/moved", _) => ("302 Found", ""),
        ("/api2/json/version", "pveapitoken=root@pam!cb=5ec2e7") => {
            ("200 OK", r#"{"data":{"version":"8.4.1\u001b[31m","release":"8.4"}}"#)
        }
        ("/redfish/v1/Systems", ROOT) => ("200 OK", r#"{"Members":[{},{}]}"#),
        ("/redfish/v1/", _) => ("200 OK", r#"{"RedfishVersion":"1.17.0","Vendor":"Dell","Product":"iDRAC"}"#),
        ("/.well-known/openid-configuration", _) => ("200 OK", ELSEWHERE),
        // The key of RFC 7517, A.1.
        ("/jwks", _) => (
            "200 OK",
            r#"{"keys":[{"kty":"EC","crv":"P-256","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#,
        ),
        _ => ("401 No", ""),
    }
}

/// A provider that exchanges codes at another host than its own.
const ELSEWHERE: &str = r#"{"issuer":"https://HOST","authorization_endpoint":"https://HOST/a",
    "token_endpoint":"https://127.0.0.2:9/t","jwks_uri":"https://HOST/jwks","response_types_supported":["code"],
    "subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}"#;

/// A mail server that offers STARTTLS, and AUTH behind it; `root` and `calvin`.
async fn mail_server(acceptor: TlsAcceptor) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                stream.write_all(b"220 mail.test\r\n").await.ok()?;
                while !line(&mut stream).await?.starts_with("STARTTLS") {
                    stream.write_all(b"250-mail.test\r\n250 STARTTLS\r\n").await.ok()?;
                }
                stream.write_all(b"220 go on\r\n").await.ok()?;
                let mut stream = acceptor.accept(stream).await.ok()?;
                loop {
                    let said = line(&mut stream).await?;
                    // RFC 4616: \0root\0calvin.
                    let reply: &[u8] = match said.as_str() {
                        "AUTH PLAIN AHJvb3QAY2Fsdmlu" => b"235 welcome\r\n",
                        said if said.starts_with("AUTH") => b"535 no\r\n",
                        "QUIT" => b"221 bye\r\n",
                        _ => b"250-mail.test\r\n250 AUTH PLAIN LOGIN\r\n",
                    };
                    stream.write_all(reply).await.ok()?;
                }
                #[expect(unreachable_code, reason = "says what the task answers")]
                Some(())
            });
        }
    });
    address
}

async fn line(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(line).ok()?.trim_end().to_owned())
}

async fn made(site: &Site, admin: &Login, body: Value) -> String {
    let answer = site.post(admin, "/api/v1/credentials", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()["id"].as_str().expect("an id").to_owned()
}

fn basic(name: &str, password: &str) -> Value {
    json!({
        "name": name, "kind": "basic", "public": { "user": "root" }, "secret": { "password": password },
        "hosts": ["127.0.0.1:1-65535"],
    })
}

async fn test(site: &Site, by: &Login, id: &str, there: Value) -> Answer {
    // Uses are sorted by time.
    site.test.clock.advance(chrono::TimeDelta::seconds(1));
    site.post(by, &format!("/api/v1/credentials/{id}/test"), there).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_then_pinned_and_only_then_the_secret_leaves(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let device = Device::start().await;
    let id = made(&site, &admin, basic("BMC", "calvin")).await;
    let path = format!("/api/v1/credentials/{id}");

    let untrusted = test(&site, &admin, &id, device.there("/private")).await.json();
    assert_eq!((&untrusted["ok"], &untrusted["presented"]), (&json!(false), &json!(device.pin)));
    assert!(untrusted["reason"].as_str().is_some_and(|r| r.starts_with("Nothing was sent")), "{untrusted}");
    assert_eq!(device.heard(), 0);

    // Trusting it is sending the secret to somebody else: it is wanted again.
    let pinned = json!({ "certificate_sha256": device.pin });
    let refused = site.patch(&admin, &path, pinned.clone()).await;
    assert_eq!((refused.status, &refused.json()["errors"][0]["field"]), (422, &json!("secret")));
    let with = |pin: &str| json!({ "certificate_sha256": pin, "secret": { "password": "calvin" } });
    assert_eq!(site.patch(&admin, &path, with(&"ab".repeat(32))).await.status, 200);
    let wrong = test(&site, &admin, &id, device.there("/private")).await.json();
    assert_eq!((&wrong["ok"], &wrong["presented"]), (&json!(false), &json!(device.pin)));
    assert_eq!(device.heard(), 0);

    assert_eq!(site.patch(&admin, &path, with(&device.pin)).await.status, 200);
    let works = test(&site, &admin, &id, device.there("/private")).await.json();
    assert_eq!(works["ok"], true, "{works}");
    assert_eq!(works["detail"][0], json!({ "name": "Status", "value": "200" }));
    // With it, and once without, to see whether that makes a difference.
    assert_eq!(device.heard(), 2);
    let open = test(&site, &admin, &id, device.there("/open")).await.json();
    assert!(open["reason"].as_str().is_some_and(|r| r.contains("proves nothing")), "{open}");

    // Elsewhere: not even a connection.
    let before = device.heard();
    for host in ["localhost", "127.0.0.2", "127.0.0.1.evil.example", "[::1]", "0x7f000001"] {
        let there = json!({ "host": host, "port": device.address.port() });
        let refused = test(&site, &admin, &id, there).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["field"]), (422, &json!("host")), "{host}");
    }
    assert_eq!(device.heard(), before);

    let uses = site.get(&admin, &format!("{path}/uses?limit=3")).await.json();
    let seen: Vec<&Value> = uses["items"].as_array().expect("a list").iter().map(|u| &u["ok"]).collect();
    assert_eq!((seen, &uses["total"]), (vec![&json!(false), &json!(true), &json!(false)], &json!(4)));
    assert_eq!(uses["items"][0]["user_name"], cb_testkit::TestApp::USERNAME);
    assert_eq!(uses["items"][0]["purpose"], "test");
    let cursor = uses["next_cursor"].as_str().expect("one more");
    let rest = site.get(&admin, &format!("{path}/uses?limit=3&cursor={cursor}")).await.json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    let log = site.get(&admin, "/api/v1/audit-log?action=credential_tested").await;
    assert_eq!(log.json()["total"], 4);
    assert!(!log.text().contains("calvin") && !log.text().contains("certificate of"), "{}", log.text());
    let shown = site.get(&admin, &path).await;
    assert!(!shown.text().contains("calvin") && !shown.json()["last_used_at"].is_null());
}

/// Bound to a host alone, a secret could be fetched by whoever can listen on another port of it.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_test_sends_a_secret_to_no_port_that_nobody_has_named(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "eddie", "editor").await;
    let editor = site.signed_in("eddie").await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    #[expect(clippy::disallowed_methods, reason = "the device that must hear nothing")]
    let datagrams = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    datagrams.set_nonblocking(true).expect("set");
    let (tcp, udp) =
        (listener.local_addr().expect("bound").port(), datagrams.local_addr().expect("bound").port());
    let http = json!({ "user": "root", "transport": "http" });
    for (kind, public, secret, port, usual) in [
        ("basic", &http, json!({ "password": "calvin" }), tcp, 80),
        ("basic", &json!({ "user": "root" }), json!({ "password": "calvin" }), tcp, 443),
        ("bearer", &json!({ "transport": "http" }), json!({ "token": "t0k3n" }), tcp, 80),
        ("snmp_v2c", &json!({}), json!({ "community": "lab" }), udp, 161),
        ("ssh_password", &json!({ "user": "root" }), json!({ "password": "calvin" }), tcp, 22),
        ("redfish", &json!({ "user": "root" }), json!({ "password": "calvin" }), tcp, 443),
        ("smtp", &json!({ "user": "root" }), json!({ "password": "calvin" }), tcp, 587),
    ] {
        let body = |port: &str| {
            json!({
                "name": format!("{kind}{port}{}", public["transport"]), "kind": kind, "public": public, "secret": secret,
                "hosts": [format!("127.0.0.1{port}")],
            })
        };
        let id = made(&site, &admin, body("")).await;
        for by in [&editor, &admin] {
            let refused = test(&site, by, &id, json!({ "host": "127.0.0.1", "port": port })).await;
            assert_eq!(
                (refused.status, &refused.json()["errors"][0]["field"]),
                (422, &json!("port")),
                "{kind}"
            );
            let reason = refused.text();
            assert!(reason.contains(&format!("127.0.0.1:{port}")), "it names the line to add: {reason}");
        }
        // Whoever may write credentials names another port, and types the secret again.
        let path = format!("/api/v1/credentials/{id}");
        let wider = json!({ "hosts": [format!("127.0.0.1:{port}")] });
        let refused = site.patch(&admin, &path, wider).await;
        assert_eq!(
            (refused.status, &refused.json()["errors"][0]["field"]),
            (422, &json!("secret")),
            "{kind}"
        );
        let same = json!({ "hosts": [format!("127.0.0.1:{usual}")] });
        assert_eq!(site.patch(&admin, &path, same).await.status, 200, "{kind}: the usual port, written out");
    }
    let nobody = tokio::time::timeout(Duration::from_millis(300), listener.accept()).await;
    assert!(nobody.is_err(), "not even a connection");
    assert!(datagrams.recv(&mut [0; 16]).is_err(), "not even a datagram");
}

/// Whatever stands there, an editor sees the same failure at the same time: not in the answer, and not in the log of uses.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_editor_learns_from_a_failure_only_that_it_is_one(#[values(Sqlite, Postgres)] database: Database) {
    const TOLD: Duration = Duration::from_secs(9);
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "eddie", "editor").await;
    let editor = site.signed_in("eddie").await;
    let device = Device::start().await;
    // Takes connections and never answers.
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let mut right = basic("right", "calvin");
    right["certificate_sha256"] = json!(device.pin);
    let mut wrong = basic("wrong", "hobbes");
    wrong["certificate_sha256"] = json!(device.pin);
    let (right, wrong) = (made(&site, &admin, right).await, made(&site, &admin, wrong).await);
    let unpinned = made(&site, &admin, basic("unpinned", "calvin")).await;

    let begun = Instant::now();
    let works = test(&site, &editor, &right, device.there("/private")).await.json();
    assert_eq!(works, json!({ "ok": true, "reason": null, "detail": [], "presented": null }));
    // Only a failure waits for the time at which every failure is told.
    assert!(begun.elapsed() < TOLD, "{:?}", begun.elapsed());

    let closed = json!({ "host": "127.0.0.1", "port": 1, "path": "/private" });
    let printer = json!({ "host": "127.0.0.1", "port": 9100, "path": "/private" });
    let mute = json!({ "host": "127.0.0.1", "port": silent.local_addr().expect("bound").port() });
    let timed = async |id: &str, there: Value| {
        let begun = Instant::now();
        let answer = test(&site, &editor, id, there).await;
        (answer.status, answer.json(), begun.elapsed())
    };
    let peek = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let uses = site.get(&editor, &format!("/api/v1/credentials/{wrong}/uses")).await.json();
        uses["items"].as_array().expect("a list").iter().all(|used| used["ok"].is_null())
    };
    let (a, b, c, d, unknown) = tokio::join!(
        timed(&wrong, device.there("/private")),
        timed(&wrong, closed),
        timed(&wrong, mute),
        timed(&unpinned, device.there("/private")),
        peek,
    );
    assert!(unknown, "the log of uses tells before the answer does");
    let failures = [a, b, c, d];
    for (status, answer, took) in &failures {
        assert_eq!((*status, answer), (200, &failures[0].1), "{failures:?}");
        // None before its time, so all at the same; how much later a machine with too much to do answers says nothing.
        assert!((TOLD..Duration::from_secs(30)).contains(took), "{took:?}");
    }
    assert_eq!(failures[0].1["ok"], false);
    assert_eq!((&failures[0].1["detail"], &failures[0].1["presented"]), (&json!([]), &json!(null)));
    // The fifth failure in a row makes the sixth wait.
    let (status, answer, _) = timed(&wrong, printer).await;
    assert_eq!((status, &answer), (200, &failures[0].1));
    // Redis counts by its own clock, and by that the wait was over before the fifth was answered.
    if database == Sqlite {
        let sixth = test(&site, &editor, &wrong, device.there("/private")).await;
        assert_eq!(sixth.status, 429, "{sixth:?}");
        assert!(sixth.one("retry-after").parse::<u64>().expect("seconds") >= 1);
    }
    // And an editor cannot write them, nor a viewer see them.
    let denied = site.patch(&editor, &format!("/api/v1/credentials/{right}"), json!({ "name": "x" })).await;
    assert_eq!(denied.status, 403);
}

/// Whoever hangs up has tried it all the same.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_nobody_waits_for_stands_in_the_log(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let id = made(&site, &admin, basic("BMC", "calvin")).await;
    let there = json!({ "host": "127.0.0.1", "port": silent.local_addr().expect("bound").port() });
    tokio::select! {
        answer = test(&site, &admin, &id, there) => panic!("it waits for an answer: {answer:?}"),
        asked = silent.accept() => {
            asked.expect("connects");
        }
    }
    for _ in 0..100 {
        let log = site.get(&admin, "/api/v1/audit-log?action=credential_tested").await.json();
        if log["total"] == 1 {
            assert_eq!(log["items"][0]["detail"]["ok"], false);
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no entry");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn changing_credentials_wants_a_fresh_proof_and_no_token(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let id = made(&site, &admin, basic("BMC", "calvin")).await;
    let token = site.token(&admin, &["credentials:read", "credentials:write"]).await;
    let path = format!("/api/v1/credentials/{id}");
    assert_eq!(site.by_token("GET", &path, &token).await.status, 200);
    assert_eq!(site.by_token("DELETE", &path, &token).await.status, 403);
    site.test.clock.advance(chrono::TimeDelta::minutes(11));
    let old = site.patch(&admin, &path, json!({ "name": "x" })).await;
    assert_eq!(old.status, 403, "{old:?}");
    assert!(old.json()["type"].as_str().is_some_and(|t| t.contains("proof")), "{old:?}");
}

/// Every kind that is sent, in the form that its device wants; and what a refusal is called.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn each_kind_proves_itself_as_its_device_wants(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let device = Device::start().await;
    let mail = mail_server(device.acceptor.clone()).await;
    let here = |port: u16| json!({ "host": "127.0.0.1", "port": port });
    let web = |path: &str| device.there(path);
    let port = device.address.port();
    let root = json!({ "user": "root" });
    let proxmox = json!({ "token_id": "root@pam!cb" });
    for (name, kind, public, secret, there, says) in [
        ("basic", "basic", &root, json!({ "password": "calvin" }), web("/private"), "200"),
        (
            "basic, wrong",
            "basic",
            &root,
            json!({ "password": "hobbes" }),
            web("/private"),
            "refuses the credential (401)",
        ),
        (
            "basic, forbidden",
            "basic",
            &root,
            json!({ "password": "calvin" }),
            web("/forbidden"),
            "no permission for this path",
        ),
        (
            "basic, moved",
            "basic",
            &root,
            json!({ "password": "calvin" }),
            web("/moved"),
            "does not send the secret there",
        ),
        ("bearer", "bearer", &json!({}), json!({ "token": "t0k3n" }), web("/token"), "200"),
        ("proxmox", "proxmox_token", &proxmox, json!({ "token_secret": "5ec2e7" }), here(port), "8.4.1 [31m"),
        (
            "proxmox, wrong",
            "proxmox_token",
            &proxmox,
            json!({ "token_secret": "x" }),
            here(port),
            "refuses the credential (401)",
        ),
        ("redfish", "redfish", &root, json!({ "password": "calvin" }), here(port), "iDRAC"),
        ("smtp", "smtp", &root, json!({ "password": "calvin" }), here(mail.port()), "STARTTLS"),
        (
            "smtp, wrong",
            "smtp",
            &root,
            json!({ "password": "x" }),
            here(mail.port()),
            "refuses the username or password",
        ),
        (
            "http at https",
            "basic",
            &json!({ "user": "root", "transport": "http" }),
            json!({ "password": "x" }),
            web("/"),
            "",
        ),
    ] {
        // Five failures in a row make the next one wait.
        site.rest(chrono::TimeDelta::seconds(20));
        let body = json!({
            "name": name, "kind": kind, "public": public, "secret": secret, "hosts": ["127.0.0.1:1-65535"],
            "certificate_sha256": device.pin,
        });
        let id = made(&site, &admin, body).await;
        let told = test(&site, &admin, &id, there).await;
        assert_eq!(told.status, 200, "{name}: {told:?}");
        let told = told.json();
        assert_eq!(told["ok"], json!(!name.contains(',') && !name.contains("at")), "{name}: {told}");
        assert!(told.to_string().contains(says), "{name}: {told}");
    }
    // What signs and is never sent, and what is proved where somebody signs in.
    let key = json!({
        "name": "hook", "kind": "webhook_secret", "secret": { "key": "sixteen letters." }, "hosts": ["127.0.0.1"],
    });
    let id = made(&site, &admin, key).await;
    assert_eq!(test(&site, &admin, &id, here(443)).await.status, 409);
}

/// Where a provider says that codes are exchanged is where the secret would go, whatever its issuer.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_does_not_follow_a_provider_elsewhere(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let device = Device::start().await;
    let client = |hosts: &[&str]| {
        json!({
            "name": hosts.join(" "), "kind": "oidc_client", "public": { "client_id": "cb" },
            "secret": { "client_secret": "hush" }, "hosts": hosts,
        })
    };
    let narrow = made(&site, &admin, client(&["127.0.0.1:1-65535"])).await;
    let wide = made(&site, &admin, client(&["127.0.0.1:1-65535", "127.0.0.2:9"])).await;
    let provider = json!({
        "slug": "lab", "name": "Lab", "issuer": format!("https://{}", device.address), "credential_id": narrow,
        "certificate_sha256": device.pin,
    });
    let provider = site.post(&admin, "/api/v1/oidc-providers", provider).await;
    assert_eq!(provider.status, 201, "{provider:?}");
    let path = format!("/api/v1/oidc-providers/{}", provider.json()["id"].as_str().expect("an id"));
    let tried = async || site.post(&admin, &format!("{path}/test"), json!({})).await.json();
    let told = tried().await;
    let reason = told["reason"].as_str().unwrap_or_default();
    assert!(
        told["ok"] == false
            && reason.contains("does not allow sending to 127.0.0.2 on port 9. Add 127.0.0.2:9"),
        "{told}"
    );
    assert_eq!(site.patch(&admin, &path, json!({ "credential_id": wide })).await.status, 200);
    assert_eq!(tried().await["ok"], true);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_described_by_schemas(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let kinds = site.get(&admin, "/api/v1/credential-kinds").await.json();
    let kinds = kinds.as_array().expect("a list");
    assert_eq!(kinds.len(), 11);
    let v3 = kinds.iter().find(|k| k["kind"] == "snmp_v3").expect("there");
    assert_eq!(v3["public"]["properties"]["auth"]["enum"][6], "sha512");
    assert_eq!(v3["secret"]["properties"]["auth_password"]["writeOnly"], true);
    assert_eq!((&v3["default_port"], &v3["testable"]), (&json!(161), &json!(true)));
    for kind in kinds {
        // As the enumeration says it, and as the row has it.
        let body = json!({ "name": "x", "kind": kind["kind"], "hosts": ["a.lan"], "secret": { "?": "x" } });
        let refused = site.post(&admin, "/api/v1/credentials", body).await;
        assert!(refused.status == 422 && refused.text().contains("secret"), "{refused:?}");
    }
}
