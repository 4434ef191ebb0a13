//! The name that a mail server is greeted with, and what a server that does not like it says.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cb_core::config::Config;
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::smtp::{Hello, Security, Server, Session, SmtpError};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

/// When a server judges the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strict {
    Never,
    /// Before anything is said.
    Busy,
    AtOnce,
    /// For good.
    AtOnceForGood,
    /// As Postfix does, which then knows the recipient.
    AtRecipient,
    /// As Postfix does while its name server is away.
    AtRecipientForNow,
}

struct Relay {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    async fn start(strict: Strict) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut lines = BufReader::new(stream);
                let banner = if strict == Strict::Busy { "421 too busy\r\n" } else { "220 relay.test\r\n" };
                let mut answer = banner;
                loop {
                    let mut line = String::new();
                    let said = lines.write_all(answer.as_bytes()).await;
                    if said.is_err() || lines.read_line(&mut line).await.unwrap_or(0) == 0 {
                        break;
                    }
                    answer = match (line.split([' ', ':']).next().unwrap_or_default().trim(), strict) {
                        ("EHLO", Strict::AtOnce) => "421 4.7.0 we do not talk to strangers\r\n",
                        ("RCPT", Strict::AtRecipient) => {
                            "504 5.5.2 <x>: Helo command rejected: need a name\r\n"
                        }
                        ("EHLO", Strict::AtOnceForGood) => "550 5.7.1 no strangers\r\n",
                        ("RCPT", Strict::AtRecipientForNow) => {
                            "450 4.7.1 <x>: Helo command rejected: Host not found; we need a name\r\n"
                        }
                        ("EHLO", _) => "250-relay.test\r\n250 STARTTLS\r\n",
                        ("DATA", _) => "354 go on\r\n",
                        _ => "250 ok\r\n",
                    };
                    log.lock().expect("not poisoned").push(line.trim().to_owned());
                }
            }
        });
        Self { address, heard }
    }

    async fn hand_in(
        &self,
        outbound: &Outbound,
        security: Security,
        hello: Hello<'_>,
    ) -> Result<(), SmtpError> {
        let server = Server { host: "127.0.0.1".to_owned(), port: self.address.port(), security };
        let patience = Duration::from_secs(3);
        let mut session = Session::open(outbound, Policy::Lan, &server, None, hello, patience).await?;
        session.send("cb@attic.test", &["maria@attic.test".to_owned()], b"Subject: a\r\n\r\nb\r\n.").await
    }

    fn greeted(&self) -> String {
        self.heard.lock().expect("not poisoned").first().cloned().unwrap_or_default()
    }
}

fn outbound(public: &str) -> Outbound {
    let vars =
        [("CB_DATA_DIR", "/nonexistent"), ("CB_OUTBOUND_ALLOW", "127.0.0.1"), ("CB_PUBLIC_URL", public)];
    let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Outbound::from_config(
        &Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("a configuration"),
    )
}

#[tokio::test]
async fn a_server_is_greeted_with_a_name_that_somebody_has_given() {
    let sender = Some("cb@attic.test");
    for (public, typed, sender, name) in [
        ("https://Breaker.example.org:8443", None, sender, "breaker.example.org"),
        ("https://breaker.example.org", Some("mail.example.org"), sender, "mail.example.org"),
        ("", None, sender, "attic.test"),
        ("https://192.168.1.20:8443", None, sender, "attic.test"),
        ("https://breaker:8443", None, sender, "attic.test"),
        // Nobody has given any; the connection is over loopback.
        ("", None, Some("cb@attic"), "[127.0.0.1]"),
    ] {
        let relay = Relay::start(Strict::Never).await;
        let open = relay.hand_in(&outbound(public), Security::None, Hello { typed, sender }).await;
        assert_eq!(relay.greeted(), format!("EHLO {name}"), "{open:?}");
    }
}

#[tokio::test]
async fn a_refused_greeting_is_told_as_one_and_passes_when_the_server_says_so() {
    let outbound = outbound("https://breaker.example.org");
    for (strict, security, passes) in [
        (Strict::AtOnce, Security::None, true),
        (Strict::AtOnce, Security::StartTls, true),
        (Strict::AtOnceForGood, Security::None, false),
        (Strict::AtOnceForGood, Security::StartTls, false),
        (Strict::AtRecipient, Security::None, false),
        (Strict::AtRecipientForNow, Security::None, true),
    ] {
        let relay = Relay::start(strict).await;
        match relay.hand_in(&outbound, security, Hello::default()).await {
            Err(SmtpError::Greeting { name, said, temporary }) => {
                assert_eq!(temporary, passes, "{strict:?} {security:?}");
                assert_eq!(name, "breaker.example.org", "{strict:?} {security:?}");
                assert!(said.contains("strangers") || said.contains("need a name"), "{said}");
            }
            other => panic!("{strict:?} {security:?}: {other:?}"),
        }
    }
    // Before we have said a word it is about something else.
    for security in [Security::None, Security::StartTls] {
        let busy = Relay::start(Strict::Busy).await.hand_in(&outbound, security, Hello::default()).await;
        assert!(matches!(&busy, Err(SmtpError::Temporary(why)) if why.contains("busy")), "{busy:?}");
    }
}
