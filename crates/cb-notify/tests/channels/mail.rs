//! Mail, against a server of a few lines.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cb_core::Severity;
use cb_core::form::{Public, Secrets};
use cb_net::http::Pin;
use cb_notify::channels::{Channel, Kind, Sender};
use cb_notify::{Answer, End};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::server::acceptor;
use crate::{home, notice, outbound, public, secret};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Tls,
    StartTls,
    Plain,
    /// Never stops talking.
    Endless,
}

struct MailServer {
    address: SocketAddr,
    pin: Pin,
    heard: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start(manner: Manner) -> Self {
        let (tls, pin) = acceptor();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log) = (tls.clone(), log.clone());
                tokio::spawn(async move { converse(stream, &tls, &log, manner).await });
            }
        });
        Self { address, pin, heard }
    }

    fn heard(&self) -> String {
        self.heard.lock().expect("not poisoned").join("\n")
    }

    fn fields(&self, more: &[(&str, &str)]) -> Public {
        let port = self.address.port().to_string();
        let mut fields = public(&[
            ("host", "127.0.0.1"),
            ("port", &port),
            ("security", "starttls"),
            ("from", "cb@attic.test"),
            ("to", "maria@attic.test, jo@attic.test"),
        ]);
        fields.extend(public(more));
        fields
    }
}

async fn converse(
    mut stream: TcpStream,
    tls: &TlsAcceptor,
    log: &Mutex<Vec<String>>,
    manner: Manner,
) -> Option<()> {
    match manner {
        Manner::Endless => loop {
            stream.write_all(b"220-and so on\r\n").await.ok()?;
        },
        Manner::Plain => session(stream, log, "220 mail.test\r\n", "SIZE 100000").await,
        Manner::Tls => {
            session(tls.accept(stream).await.ok()?, log, "220 mail.test\r\n", "AUTH PLAIN LOGIN").await
        }
        Manner::StartTls => {
            let mut lines = BufReader::new(&mut stream);
            lines.write_all(b"220 mail.test\r\n").await.ok()?;
            loop {
                let mut line = String::new();
                (lines.read_line(&mut line).await.ok()? > 0).then_some(())?;
                log.lock().expect("not poisoned").push(format!("plain {}", line.trim()));
                if line.trim() == "STARTTLS" {
                    lines.write_all(b"220 go on\r\n").await.ok()?;
                    break;
                }
                lines.write_all(b"250-mail.test\r\n250 STARTTLS\r\n").await.ok()?;
            }
            drop(lines);
            // RFC 3207: no greeting behind the handshake.
            session(tls.accept(stream).await.ok()?, log, "", "AUTH PLAIN LOGIN").await
        }
    }
}

async fn session(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<String>>,
    greeting: &str,
    offers: &str,
) -> Option<()> {
    let mut lines = BufReader::new(stream);
    lines.write_all(greeting.as_bytes()).await.ok()?;
    let mut in_data = false;
    loop {
        lines.flush().await.ok()?;
        let mut line = String::new();
        (lines.read_line(&mut line).await.ok()? > 0).then_some(())?;
        let line = line.trim_end_matches(['\r', '\n']);
        log.lock().expect("not poisoned").push(format!("{}{line}", if in_data { "| " } else { "" }));
        if in_data {
            if line == "." {
                in_data = false;
                lines.write_all(b"250 taken\r\n").await.ok()?;
            }
            continue;
        }
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => format!("250-mail.test\r\n250 {offers}\r\n"),
            // \0cb\0geheim4711 in base64
            "AUTH" if line.ends_with("AGNiAGdlaGVpbTQ3MTE=") => "235 welcome\r\n".to_owned(),
            // As unkind as a server can be.
            "AUTH" => format!("535 5.7.8 you said {line}\r\n"),
            "RCPT" if line.contains("nobody@") => "550 5.1.1 no such mailbox\r\n".to_owned(),
            "RCPT" if line.contains("full@") => "452 4.2.2 mailbox full\r\n".to_owned(),
            "DATA" => {
                in_data = true;
                "354 go on\r\n".to_owned()
            }
            "QUIT" => "221 bye\r\n".to_owned(),
            _ => "250 ok\r\n".to_owned(),
        };
        lines.write_all(answer.as_bytes()).await.ok()?;
    }
}

async fn mail(public: &Public, secrets: &Secrets, pin: Option<Pin>, title: &str, text: &str) -> Answer {
    let channel = Channel { kind: Kind::Email, public, secrets, pin };
    Sender::new(outbound()).send(&channel, &notice(Severity::Critical, title, text), Some(&home())).await
}

#[tokio::test]
async fn a_mail_goes_to_all_over_tls_and_starttls() {
    for (manner, security) in [(Manner::Tls, "tls"), (Manner::StartTls, "starttls")] {
        let server = MailServer::start(manner).await;
        let fields = server.fields(&[("security", security), ("user", "cb")]);
        let password = secret(&[("password", "geheim4711")]);
        let unknown = mail(&fields, &password, None, "Scan finished", "").await;
        assert_eq!(unknown.end, End::Retry, "{unknown:?}");
        assert!(!server.heard().contains("AUTH"), "{}", server.heard());
        let answer =
            mail(&fields, &password, Some(server.pin), "Scan finished: Küche", "3 new devices\n.a dot").await;
        assert_eq!((answer.end, answer.error), (End::Delivered, None));
        let heard = server.heard();
        for line in [
            "MAIL FROM:<cb@attic.test>",
            "RCPT TO:<maria@attic.test>",
            "RCPT TO:<jo@attic.test>",
            "From: \"Circuit Breaker\" <cb@attic.test>",
            "To: maria@attic.test, jo@attic.test",
            "Date: Wed, 25 Nov 2026 20:00:00 +0000",
            "Message-ID: <0190b3a0-0000-7000-8000-000000000001@attic.test>",
            "Auto-Submitted: auto-generated",
            "Importance: high",
            "Content-Type: text/plain; charset=utf-8",
            "3 new devices",
            // Quoted-printable, for the title is not ASCII.
            "https://cb.lan/discovery?scan=3D1&x=3D%222%22",
            "..a dot",
        ] {
            assert!(heard.lines().any(|said| said.contains(line)), "{line}: {heard}");
        }
        assert!(
            heard.contains("Subject: [Circuit Breaker] Critical: Scan finished: =?utf-8?b?S8O8Y2hl?="),
            "{heard}"
        );
    }
}

#[tokio::test]
async fn what_a_mail_server_says_is_what_becomes_of_it() {
    let server = MailServer::start(Manner::Plain).await;
    let none = Secrets::new();
    for (to, end, words) in [
        ("nobody@attic.test", End::Refused, "no such mailbox"),
        ("full@attic.test", End::Retry, "mailbox full"),
    ] {
        let fields = server.fields(&[("security", "none"), ("to", to)]);
        let answer = mail(&fields, &none, None, "Scan finished", "").await;
        assert_eq!(answer.end, end, "{answer:?}");
        assert!(answer.error.as_deref().unwrap_or_default().contains(words), "{answer:?}");
    }
    // Not offered: nothing is sent in clear instead.
    let answer = mail(&server.fields(&[]), &none, None, "Scan finished", "").await;
    assert!(answer.end == End::Refused && answer.error.unwrap_or_default().contains("STARTTLS"));
    assert!(!server.heard().contains("Scan finished"), "{}", server.heard());
    let endless = MailServer::start(Manner::Endless).await;
    let answer = mail(&endless.fields(&[("security", "none")]), &none, None, "Scan finished", "").await;
    assert_eq!(answer.end, End::Retry, "{answer:?}");
    let closed = server.fields(&[("port", "1"), ("security", "none")]);
    assert_eq!(mail(&closed, &none, None, "Scan finished", "").await.end, End::Retry);
    let metadata = server.fields(&[("host", "169.254.169.254"), ("security", "none")]);
    assert_eq!(mail(&metadata, &none, None, "Scan finished", "").await.end, End::Refused);
}

#[tokio::test]
async fn a_refused_password_is_in_no_word_that_is_remembered() {
    let server = MailServer::start(Manner::StartTls).await;
    let fields = server.fields(&[("user", "cb")]);
    let answer =
        mail(&fields, &secret(&[("password", "another-geheim")]), Some(server.pin), "Scan", "").await;
    assert_eq!(answer.end, End::Refused);
    // \0cb\0another-geheim in base64
    assert!(server.heard().contains("AGNiAGFub3RoZXItZ2VoZWlt"), "{}", server.heard());
    let said = format!("{answer:?}");
    assert!(said.contains("a secret of the channel") && !said.contains("AGNiAGFub3RoZXItZ2VoZWlt"), "{said}");
}

#[tokio::test]
async fn a_name_adds_no_header_and_no_recipient() {
    let server = MailServer::start(Manner::Plain).await;
    let fields = server.fields(&[("security", "none")]);
    let long = "ä\"<b>,\r\nBcc: evil@attic.test\r\n\r\n.\r\nMAIL FROM:<x@y.z>\r\n".repeat(2_000);
    let answer = mail(&fields, &Secrets::new(), None, &long, &long).await;
    assert_eq!((answer.end, answer.error), (End::Delivered, None));
    let heard = server.heard();
    assert_eq!(heard.matches("RCPT TO:").count(), 2, "{heard}");
    assert_eq!(heard.lines().filter(|line| line.starts_with("MAIL FROM:")).count(), 1, "{heard}");
    let top = heard.split("\n| \n").next().unwrap_or_default();
    assert!(top.contains("| Subject: ") && !top.contains("\n| Bcc"), "{top}");
    assert_eq!(top.lines().filter(|line| line.starts_with("| To:")).count(), 1, "{top}");
    assert!(heard.len() < 100_000, "{}", heard.len());
}
