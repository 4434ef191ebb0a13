//! A forgotten password, by mail.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::identity::PASSWORD;
use crate::site::{Answer, Ask, Held, Login, Site};

/// A mail server that takes everything, over TLS from the first byte.
struct Mailbox {
    at: SocketAddr,
    pin: String,
    mails: Arc<Mutex<Vec<String>>>,
}

impl Mailbox {
    async fn start() -> Self {
        let own = rcgen::generate_simple_self_signed(["mail.test".to_owned()]).expect("a certificate");
        let pin = cb_core::hex(&Sha256::digest(own.cert.der()));
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .expect("a pair");
        let tls = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let (at, mails) = (listener.local_addr().expect("bound"), Arc::new(Mutex::new(Vec::new())));
        let kept = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(tls.clone(), stream, kept.clone()));
            }
        });
        Self { at, pin, mails }
    }

    async fn next(&self, after: usize) -> String {
        for _ in 0..500 {
            let mails = self.mails.lock().expect("not poisoned").clone();
            if let Some(mail) = mails.get(after) {
                return mail.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no mail came");
    }

    fn count(&self) -> usize {
        self.mails.lock().expect("not poisoned").len()
    }
}

async fn converse(tls: TlsAcceptor, stream: TcpStream, mails: Arc<Mutex<Vec<String>>>) -> Option<()> {
    let mut lines = BufReader::new(tls.accept(stream).await.ok()?);
    lines.write_all(b"220 mail.test\r\n").await.ok()?;
    let mut mail: Option<String> = None;
    loop {
        lines.flush().await.ok()?;
        let mut line = String::new();
        (lines.read_line(&mut line).await.ok()? > 0).then_some(())?;
        if let Some(text) = &mut mail {
            if line == ".\r\n" {
                mails.lock().expect("not poisoned").extend(mail.take());
                lines.write_all(b"250 taken\r\n").await.ok()?;
            } else {
                text.push_str(&line);
            }
            continue;
        }
        let answer: &[u8] = match line.split([' ', ':']).next().unwrap_or_default().trim() {
            "EHLO" => b"250-mail.test\r\n250 SIZE 100000\r\n",
            "DATA" => {
                mail = Some(String::new());
                b"354 go on\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        lines.write_all(answer).await.ok()?;
    }
}

const PUBLIC: &str = "https://attic.test:8443";

async fn channel(site: &Site, admin: &Login, mailbox: &Mailbox) {
    let body = json!({
        "name": format!("Mail by {}", mailbox.at), "kind": "email", "certificate_sha256": mailbox.pin,
        "public": {
            "host": "127.0.0.1", "port": mailbox.at.port().to_string(), "security": "tls", "from": "breaker@attic.test",
            "to": "maria@attic.test",
        },
    });
    let made = site.post(admin, "/api/v1/channels", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
}

async fn user(site: &Site, admin: &Login, name: &str, email: Option<&str>) -> String {
    let body = json!({ "username": name, "role": "viewer", "password": PASSWORD, "email": email });
    let made = site.post(admin, "/api/v1/users", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["id"].as_str().expect("an id").to_owned()
}

async fn ask(site: &Site, name: &str) -> Answer {
    site.public("/api/v1/auth/forgot", json!({ "username": name })).await
}

/// The token of the link in a mail, whose lines may be folded (RFC 2045, 6.7).
fn token(mail: &str) -> String {
    let plain = mail.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) =
        plain.split_once(&format!("{PUBLIC}/reset#")).unwrap_or_else(|| panic!("no link: {mail}"));
    rest.split_whitespace().next().expect("a token").to_owned()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_mended_by_mail_and_strangers_learn_nothing(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready_with(database, &[("CB_PUBLIC_URL", PUBLIC)]).await;
    let offered = async || {
        let methods = site.ask(Ask::new("GET", "/api/v1/auth/methods")).await.json();
        methods["reset_by_mail"].clone()
    };
    assert_eq!(offered().await, false);
    let mailbox = Mailbox::start().await;
    channel(&site, &admin, &mailbox).await;
    assert_eq!(offered().await, true);
    user(&site, &admin, "grace", Some("grace@attic.test")).await;
    user(&site, &admin, "mute", None).await;

    let known = ask(&site, " Grace ").await;
    assert_eq!((known.status, known.text().as_str()), (202, ""));
    let mail = mailbox.next(0).await;
    assert!(mail.contains("To: grace@attic.test") && !mail.contains("maria@attic.test"), "{mail}");
    for name in ["nobody", "mute"] {
        let answer = ask(&site, name).await;
        assert_eq!((answer.status, answer.text()), (known.status, known.text()), "{name}");
        let names = |a: &Answer| a.headers.iter().map(|h| h.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&known), "{name}");
    }
    let reset = json!({ "token": token(&mail), "new_password": "nine green kettles hum" });
    let link = json!({ "purpose": "reset", "token": reset["token"] });
    assert_eq!(site.public("/api/v1/auth/link", link.clone()).await.status, 204);
    assert_eq!(site.public("/api/v1/auth/reset", reset.clone()).await.status, 204);
    assert_eq!(site.public("/api/v1/auth/link", link).await.status, 403, "used");
    assert_eq!(site.login("grace", "nine green kettles hum").await.status, 200);
    assert_eq!(site.public("/api/v1/auth/reset", reset).await.status, 403, "once");
    let log = site.get(&admin, "/api/v1/audit-log?action=reset_link_mailed").await.json();
    assert_eq!((&log["total"], &log["items"][0]["detail"]["sent"]), (&json!(1), &json!(true)), "{log}");
    assert_eq!(mailbox.count(), 1, "nobody else was written to");

    // Too often, whatever the name.
    let mut last = 0;
    for _ in 0..60 {
        last = ask(&site, "nobody").await.status;
        if last == 429 {
            break;
        }
    }
    assert_eq!(last, 429);
}

/// All work is done after the answer, so it takes as long for a name that exists; the mail server here never answers.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_waits_for_no_mail_server() {
    let (site, admin) = Site::ready_with(Sqlite, &[("CB_PUBLIC_URL", PUBLIC)]).await;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let mailbox =
        Mailbox { at: silent.local_addr().expect("bound"), pin: "ab".repeat(32), mails: Arc::default() };
    channel(&site, &admin, &mailbox).await;
    user(&site, &admin, "grace", Some("grace@attic.test")).await;
    let began = Instant::now();
    assert_eq!(ask(&site, "grace").await.status, 202);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_has_a_link_mailed_and_never_sees_it(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready_with(database, &[("CB_PUBLIC_URL", PUBLIC)]).await;
    let grace = user(&site, &admin, "grace", Some("grace@attic.test")).await;
    let mute = user(&site, &admin, "mute", None).await;
    let send = async |id: &str| site.post(&admin, &format!("/api/v1/users/{id}/reset-mail"), json!({})).await;
    let refused = send(&grace).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("CB_PUBLIC_URL"), "{}", refused.text());
    let mailbox = Mailbox::start().await;
    channel(&site, &admin, &mailbox).await;
    assert_eq!(send(&mute).await.status, 409);
    let sent = send(&grace).await;
    let wanted: Value = json!({ "to": "grace@attic.test", "sent": true, "error": null });
    assert_eq!((sent.status, sent.json()), (200, wanted));
    let secret = token(&mailbox.next(0).await);
    let log = site.get(&admin, "/api/v1/audit-log").await;
    assert!(!sent.text().contains(&secret) && !log.text().contains(&secret));
    let reset = json!({ "token": secret, "new_password": "nine green kettles hum" });
    assert_eq!(site.public("/api/v1/auth/reset", reset).await.status, 204);
}

const BEHIND_PROXY: [(&str, &str); 2] = [("CB_PUBLIC_URL", PUBLIC), ("CB_TRUSTED_PROXIES", "127.0.0.1/32")];

/// From an address of its own, so that nobody asks too often.
async fn ask_from(site: &Site, place: usize, name: &str) -> Answer {
    let from = format!("2001:db8:{place:x}::1");
    let ask = Ask::new("POST", "/api/v1/auth/forgot").header("X-Forwarded-For", from);
    site.ask(ask.json(json!({ "username": name }).to_string())).await
}

/// A mail server that is silent until it is let go, and then hangs up.
struct Silent {
    mailbox: Mailbox,
    connected: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Silent {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let at = listener.local_addr().expect("bound");
        let (connected, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (count, gate) = (connected.clone(), go.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let gate = gate.clone();
                tokio::spawn(async move {
                    let _passed = gate.acquire().await;
                    drop(stream);
                });
            }
        });
        Self { mailbox: Mailbox { at, pin: "ab".repeat(32), mails: Arc::default() }, connected, go }
    }

    fn connected(&self) -> usize {
        self.connected.load(Ordering::SeqCst)
    }
}

/// Mails are handed in a few at a time, and only so many wait, however many users are asked for. Nobody is told of the rest.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_mails_of_all_together_are_bounded(#[values(Sqlite, Postgres)] database: Database) {
    const AT_ONCE: usize = 4;
    const WAITING: usize = 20;
    let (site, admin) = Site::alone_ready(database, &BEHIND_PROXY).await;
    let silent = Silent::start().await;
    channel(&site, &admin, &silent.mailbox).await;
    let users = WAITING + 5;
    for n in 0..users {
        user(&site, &admin, &format!("user{n}"), Some(&format!("user{n}@attic.test"))).await;
    }
    for n in 0..users {
        assert_eq!(ask_from(&site, n, &format!("user{n}")).await.status, 202);
    }
    for _ in 0..250 {
        if silent.connected() >= AT_ONCE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Time for one more to come, if there were no bound.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(silent.connected(), AT_ONCE);
    silent.go.add_permits(users);
    let count = async |action: &str| {
        site.get(&admin, &format!("/api/v1/audit-log?action={action}")).await.json()["total"].clone()
    };
    let mut mailed = json!(0);
    for _ in 0..500 {
        mailed = count("reset_link_mailed").await;
        if mailed == json!(WAITING) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((mailed, count("reset_link_made").await), (json!(WAITING), json!(WAITING)));
    // There is room again.
    assert_eq!(ask_from(&site, users, "user24").await.status, 202);
    for _ in 0..250 {
        if silent.connected() > WAITING {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the next mail was not handed in");
}

/// While the database is slow, names wait to be looked up, and only so many; the answers are as fast as ever.
#[tokio::test(flavor = "multi_thread")]
async fn the_names_that_wait_are_bounded() {
    const WAITING: usize = 100;
    let (site, admin) = Site::alone_ready(Postgres, &BEHIND_PROXY).await;
    let held = Held::lock(&site, "users").await;

    // A name is given up after a second, four at a time, so places become free meanwhile: it is asked until the line is full. Answers
    // that waited for their names would come ten at once, and never fill it.
    let (mut asked, mut taken, mut full) = (0, 0, BTreeSet::new());
    while full.len() < 2 {
        assert!(asked < 10 * WAITING, "the line is never full: {taken} were taken");
        let asks = (asked..asked + 10).map(async |n| {
            let name = if n % 2 == 0 { "nobody" } else { "maria" };
            (name, ask_from(&site, n, name).await)
        });
        for (name, answer) in futures_util::future::join_all(asks).await {
            if answer.status == 202 {
                taken += 1;
                continue;
            }
            assert_eq!(answer.status, 503, "{name}: {}", answer.text());
            assert!(answer.text().contains("Try again in a minute."), "{}", answer.text());
            full.insert(name);
        }
        assert!(full.is_empty() || taken >= WAITING, "full with {taken} names");
        asked += 10;
    }
    held.release().await;
    for n in 0..500 {
        // An ask that finds room has come after one that was looked up, or given up; only the former is in the log.
        let place = asked + n;
        let room = ask_from(&site, place, "nobody").await.status == 202;
        let log = site.get(&admin, "/api/v1/audit-log?action=reset_mail_asked").await.json();
        if room && log["total"] != 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the line stays full");
}

/// Strangers can ask as often as they like: the link that an administrator has handed over goes on, and a mailbox gets ten a day.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn strangers_push_out_no_link_that_an_administrator_has_made(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::alone_ready(database, &BEHIND_PROXY).await;
    let mailbox = Mailbox::start().await;
    channel(&site, &admin, &mailbox).await;
    let ada = user(&site, &admin, "ada", Some("ada@attic.test")).await;
    let made = site.post(&admin, &format!("/api/v1/users/{ada}/reset-link"), json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = made.json()["path"].as_str().expect("a path").to_owned();
    let token = path.split_once('#').expect("a token").1.to_owned();
    let mailed = async || mailbox.mails.lock().expect("not poisoned").len();
    for n in 0..14 {
        let before = mailed().await;
        assert_eq!(ask_from(&site, n, "ada").await.status, 202);
        for _ in 0..600 {
            if mailed().await > before || n >= 10 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        site.test.clock.advance(chrono::TimeDelta::minutes(20));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(mailed().await, 10);
    let reset = site
        .public("/api/v1/auth/reset", json!({ "token": token, "new_password": "nine blue herons wade" }))
        .await;
    assert_eq!(reset.status, 204, "{}", reset.text());
}

/// A channel whose server is down does not keep the link back that another one could carry.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_mail_server_is_tried() {
    let (site, admin) = Site::ready_with(Sqlite, &[("CB_PUBLIC_URL", PUBLIC)]).await;
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let at = closed.local_addr().expect("bound");
    drop(closed);
    channel(&site, &admin, &Mailbox { at, pin: "ab".repeat(32), mails: Arc::default() }).await;
    let mailbox = Mailbox::start().await;
    channel(&site, &admin, &mailbox).await;
    let ada = user(&site, &admin, "ada", Some("ada@attic.test")).await;
    let sent = site.post(&admin, &format!("/api/v1/users/{ada}/reset-mail"), json!({})).await;
    assert_eq!((sent.status, sent.json()["sent"].clone()), (200, json!(true)), "{}", sent.text());
    assert_eq!(mailbox.mails.lock().expect("not poisoned").len(), 1);
}
