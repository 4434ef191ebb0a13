//! Mail: judged like everything else, secured before a password is sent, and nothing from before the handshake counts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cb_core::Secret;
use cb_net::http::{OutboundError, Pin, Tls};
use cb_net::judge::{Kind, Policy};
use cb_net::outbound::Outbound;
use cb_net::smtp::{Hello, Login, Security, Server, Session, SmtpError};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::stub::{NameServer, kind, outbound};
use crate::trust::{acceptor, self_signed};

const SOON: Duration = Duration::from_secs(3);

/// How a server of these tests behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Tls,
    StartTls,
    Plain,
    /// Offers it and says no.
    Unwilling,
    /// Puts a command of its own behind the answer to STARTTLS.
    Meddling,
}

struct MailServer {
    address: SocketAddr,
    pin: Pin,
    /// Every line that was said to it.
    heard: Arc<Mutex<Vec<String>>>,
}

impl MailServer {
    async fn start(ip: &str, port: u16, manner: Manner) -> Self {
        let certificate = self_signed();
        let pin = Pin::of(certificate.cert.der());
        let tls = acceptor(&certificate, &certificate.signing_key, &rustls::version::TLS13);
        let listener = TcpListener::bind((ip, port)).await.expect("free");
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

    fn server(&self, security: Security) -> Server {
        Server { host: self.address.ip().to_string(), port: self.address.port(), security }
    }
}

async fn converse(
    mut stream: tokio::net::TcpStream,
    tls: &TlsAcceptor,
    log: &Mutex<Vec<String>>,
    manner: Manner,
) -> Option<()> {
    match manner {
        Manner::Tls => {
            session(tls.accept(stream).await.ok()?, log, "220 mail.test\r\n", "AUTH PLAIN LOGIN").await
        }
        Manner::Plain => session(stream, log, "220 mail.test\r\n", "SIZE 1000").await,
        Manner::StartTls | Manner::Unwilling | Manner::Meddling => {
            let mut lines = BufReader::new(&mut stream);
            lines.write_all(b"220-mail.test\r\n220 at your service\r\n").await.ok()?;
            loop {
                let mut line = String::new();
                (lines.read_line(&mut line).await.ok()? > 0).then_some(())?;
                log.lock().expect("not poisoned").push(format!("plain {}", line.trim()));
                let answer: &[u8] = match (line.trim(), manner) {
                    ("STARTTLS", Manner::Unwilling) => b"454 not today\r\n",
                    ("STARTTLS", Manner::Meddling) => b"220 go on\r\n250 injected\r\n",
                    ("STARTTLS", _) => b"220 go on\r\n",
                    _ => b"250-mail.test\r\n250-STARTTLS\r\n250 SIZE 1000\r\n",
                };
                lines.write_all(answer).await.ok()?;
                if line.trim() == "STARTTLS" && manner != Manner::Unwilling {
                    break;
                }
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
        let line = line.trim_end();
        log.lock().expect("not poisoned").push(line.to_owned());
        if in_data {
            if line == "." {
                in_data = false;
                lines.write_all(b"250 taken\r\n").await.ok()?;
            }
            continue;
        }
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => format!("250-mail.test\r\n250 {offers}\r\n"),
            // \0maria\0right in base64
            "AUTH" if line.ends_with("AG1hcmlhAHJpZ2h0") => "235 welcome\r\n".to_owned(),
            "AUTH" => "535 5.7.8 no such user or password\r\n".to_owned(),
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

fn login(password: &str) -> Login {
    Login { user: "maria".to_owned(), password: Secret::new(password.to_owned()) }
}

async fn opened(outbound: &Outbound, server: &Server, login: Option<&Login>) -> Result<Session, SmtpError> {
    Session::open(outbound, Policy::Lan, server, login, Hello::default(), SOON).await
}

const MAIL: &[u8] = b"Subject: Breaker\r\n\r\nThe attic is down.\r\n.a dot";

#[tokio::test]
async fn a_mail_goes_out_over_tls_and_starttls_to_the_pinned_server() {
    let dns = NameServer::start(&[]).await;
    for (manner, security) in [(Manner::Tls, Security::Tls), (Manner::StartTls, Security::StartTls)] {
        let mail = MailServer::start("127.0.0.1", 0, manner).await;
        let pinned = outbound("127.0.0.1", &dns).trusting(Tls::Pinned(mail.pin));
        let mut session =
            opened(&pinned, &mail.server(security), Some(&login("right"))).await.expect("taken in");
        session.send("cb@attic.test", &["maria@attic.test".to_owned()], MAIL).await.expect("sent");
        let to = |name: &str| vec![format!("{name}@attic.test")];
        let refused = session.send("cb@attic.test", &to("nobody"), MAIL).await;
        assert!(
            matches!(&refused, Err(SmtpError::Refused(why)) if why.contains("no such mailbox")),
            "{refused:?}"
        );
        let mut session =
            opened(&pinned, &mail.server(security), Some(&login("right"))).await.expect("again");
        let full = session.send("cb@attic.test", &to("full"), MAIL).await;
        assert!(matches!(&full, Err(SmtpError::Temporary(why)) if why.contains("mailbox full")), "{full:?}");
        session.close().await;
        let heard = mail.heard();
        assert!(
            heard.contains("MAIL FROM:<cb@attic.test>") && heard.contains("RCPT TO:<maria@attic.test>"),
            "{heard}"
        );
        assert!(heard.contains("The attic is down.\n..a dot\n."), "{heard}");

        let wrong = opened(&pinned, &mail.server(security), Some(&login("wrong"))).await;
        assert!(
            matches!(&wrong, Err(SmtpError::Login(why)) if why.contains("no such user")),
            "{:?}",
            wrong.err()
        );
        let unknown =
            opened(&outbound("127.0.0.1", &dns), &mail.server(security), Some(&login("right"))).await;
        assert!(matches!(&unknown, Err(SmtpError::Connection(OutboundError::Tls(_)))), "{:?}", unknown.err());
        assert!(!mail.heard().contains("plain AUTH"), "{}", mail.heard());
    }
}

#[tokio::test]
async fn no_password_goes_out_in_the_clear() {
    let dns = NameServer::start(&[]).await;
    let outbound = outbound("127.0.0.1", &dns);
    let plain = MailServer::start("127.0.0.1", 0, Manner::Plain).await;
    let told = opened(&outbound, &plain.server(Security::None), Some(&login("right"))).await;
    assert!(matches!(told, Err(SmtpError::PlainPassword)), "{:?}", told.err());
    assert!(plain.heard().is_empty());
    // A meddler takes the offer away.
    let none = opened(&outbound, &plain.server(Security::StartTls), Some(&login("right"))).await;
    assert!(matches!(none, Err(SmtpError::NoStartTls)), "{:?}", none.err());
    let mut open = opened(&outbound, &plain.server(Security::None), None).await.expect("a relay");
    open.send("cb@attic.test", &["maria@attic.test".to_owned()], MAIL).await.expect("sent");

    let unwilling = MailServer::start("127.0.0.1", 0, Manner::Unwilling).await;
    let no = opened(&outbound, &unwilling.server(Security::StartTls), Some(&login("right"))).await;
    assert!(matches!(&no, Err(SmtpError::Temporary(why)) if why.contains("not today")), "{:?}", no.err());
    assert!(!unwilling.heard().contains("AUTH"));

    let meddling = MailServer::start("127.0.0.1", 0, Manner::Meddling).await;
    let pinned = outbound.trusting(Tls::Pinned(meddling.pin));
    let broken = opened(&pinned, &meddling.server(Security::StartTls), Some(&login("right"))).await;
    assert!(matches!(&broken, Err(SmtpError::Connection(OutboundError::Tls(_)))), "{:?}", broken.err());
    assert!(!meddling.heard().contains("AUTH"));
}

#[tokio::test]
async fn the_mail_server_that_was_judged_is_the_one_that_gets_the_mail() {
    let bad = MailServer::start("127.0.0.3", 0, Manner::Plain).await;
    let port = bad.address.port();
    let good = MailServer::start("127.0.0.2", port, Manner::Plain).await;
    let dns = NameServer::start(&[
        ("mail.test", &["127.0.0.2", "127.0.0.3"]),
        ("mixed.test", &["127.0.0.2 127.0.0.3"]),
        ("metadata.test", &["169.254.169.254"]),
    ])
    .await;
    let outbound = outbound("127.0.0.2", &dns);
    let server = |host: &str| Server { host: host.to_owned(), port, security: Security::None };
    let mut session = opened(&outbound, &server("mail.test"), None).await.expect("allowed");
    session.send("cb@attic.test", &["maria@attic.test".to_owned()], MAIL).await.expect("sent");
    assert_eq!(dns.asked(), ["mail.test 1", "mail.test 28"]);
    assert!(good.heard().contains("The attic is down."));
    for (host, expected) in
        [("mail.test", Kind::Loopback), ("mixed.test", Kind::Loopback), ("metadata.test", Kind::Metadata)]
    {
        let Err(SmtpError::Connection(error)) = opened(&outbound, &server(host), None).await else {
            panic!("{host}")
        };
        assert_eq!(kind(&error), Some(expected), "{host}: {error}");
    }
    assert!(bad.heard().is_empty());
}

#[tokio::test]
async fn an_endless_or_silent_server_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("free");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move { while stream.write_all(b"220-and so on\r\n").await.is_ok() {} });
        }
    });
    let dns = NameServer::start(&[]).await;
    let outbound = outbound("127.0.0.1", &dns);
    let server = |security| Server { host: "127.0.0.1".to_owned(), port: address.port(), security };
    for security in [Security::StartTls, Security::None] {
        let told = opened(&outbound, &server(security), None).await;
        assert!(
            matches!(&told, Err(SmtpError::Protocol(why)) if why.contains("too long")),
            "{security:?}: {:?}",
            told.err()
        );
    }
    let mute = TcpListener::bind("127.0.0.1:0").await.expect("free");
    let server = Server {
        host: "127.0.0.1".to_owned(),
        port: mute.local_addr().expect("bound").port(),
        security: Security::None,
    };
    let told =
        Session::open(&outbound, Policy::Lan, &server, None, Hello::default(), Duration::from_millis(300))
            .await;
    assert!(matches!(told, Err(SmtpError::TimedOut)), "{:?}", told.err());
}
