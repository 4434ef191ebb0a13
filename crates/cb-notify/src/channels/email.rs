//! Mail: one message to everybody who is named, as plain text, handed in at a server that the user names.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cb_core::clock::Time;
use cb_core::error::{Violations, sentence};
use cb_core::form::{Field, Form, Public, Secrets};
use cb_core::{Notice, Secret, Severity};
use cb_net::http::OutboundError;
use cb_net::judge::{Destination, Policy, Refused};
use cb_net::outbound::Outbound;
use cb_net::smtp::{Hello, Login, Security, Server, Session, SmtpError, read_hello};
use lettre::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use tokio::time::timeout;
use uuid::Uuid;

use super::text::{bytes, characters, fitted, line, lines, plain};
use super::{Service, Way, may_lead};
use crate::{Answer, End};

const TO_MOST: usize = 10;
const TITLE_MOST: usize = 200;
const TEXT_MOST: usize = 20_000;
/// For each step, and for all of them.
const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(25);

pub(super) const SERVICE: Service =
    Service { title: "Email", policy: Policy::Lan, form, judge, way: Way::Mail };

fn form() -> Form {
    Form::new(
        vec![
            Field::line("host", "Mail server").binding(),
            Field::choice("security", "Encryption", &["starttls", "tls", "none"])
                .help("tls encrypts the whole connection (port 465). starttls switches to encryption after the greeting (port 587). none works only without a password."),
            Field::line("port", "Port").most(5).optional().binding().help("Leave it empty to use the usual port."),
            Field::line("from", "From").help("An address that the mail server lets you send from."),
            Field::line("to", "To").most(2048).help("Up to 10 addresses, separated by commas."),
            Field::line("greeting", "Greet as").most(253).optional().help(
                "The hostname that this server gives to the mail server (EHLO). Leave it empty to use the host of CB_PUBLIC_URL or the domain of the sender.",
            ),
            Field::line("user", "Username").optional().binding(),
        ],
        vec![Field::line("password", "Password").most(1024).optional()],
    )
}

fn judge(wrong: &mut Violations, public: &Public, secrets: &Secrets) {
    let port = port(public);
    wrong.require(port.is_some(), "public.port", "Enter a port from 1 to 65535.");
    if let Some(host) = public.get("host")
        && let Err(refused) = Destination::of(host, port.unwrap_or(587))
    {
        // Nobody enters a URL here, although it is judged as the host of one.
        let reason = match refused {
            Refused::NoUrl(_)
            | Refused::NoScheme
            | Refused::Scheme(_)
            | Refused::Character(_)
            | Refused::Userinfo
            | Refused::Port(_)
            | Refused::Host(..) => "Enter a hostname or an IP address, without a port or a path.".to_owned(),
            other => sentence(other),
        };
        wrong.add("public.host", reason);
    }
    let address = |text: &str| text.parse::<Address>().is_ok();
    let from = public.get("from").is_none_or(|from| address(from));
    wrong.require(from, "public.from", "Enter an email address such as breaker@example.org.");
    if public.contains_key("to") {
        let to = recipients(public);
        wrong.require(
            !to.is_empty() && to.iter().all(|to| address(to)),
            "public.to",
            "Enter email addresses, separated by commas.",
        );
        wrong.require(to.len() <= TO_MOST, "public.to", "Enter at most 10 addresses.");
    }
    wrong.require(
        public.get("greeting").is_none_or(|name| read_hello(name).is_some()),
        "public.greeting",
        "Enter a hostname such as breaker.example.org, without an IP address, a port or underscores.",
    );
    let (user, password) = (public.contains_key("user"), secrets.contains_key("password"));
    wrong.require(!user || password, "secret.password", "Enter the password for this username.");
    // A username that was refused is not missing.
    wrong.require(
        user || !password || wrong.names("public.user"),
        "public.user",
        "Enter the username for this password.",
    );
    wrong.require(
        !(user && password) || security(public) != Security::None,
        "public.security",
        "Choose STARTTLS or TLS. The server never sends a password unencrypted.",
    );
}

pub(super) fn where_to(public: &Public) -> Option<String> {
    let scheme = match security(public) {
        Security::Tls => "smtps",
        Security::StartTls => "smtp+starttls",
        Security::None => "smtp",
    };
    Some(format!("{scheme}://{}:{}", public.get("host")?, port(public)?))
}

pub(super) async fn check(outbound: &Outbound, public: &Public) -> Result<(), (String, String)> {
    let field = || "public.host".to_owned();
    let Some(server) = server(public) else { return Err((field(), "This field is required.".to_owned())) };
    let judged = outbound.check_host(Policy::Lan, &server.host, server.port).await;
    may_lead(judged).map_err(|reason| (field(), reason))
}

/// What AUTH PLAIN sends; a server could show it in its refusal.
pub(super) fn signs_in_with(public: &Public, secrets: &Secrets) -> Vec<String> {
    let password = secrets.get("password").map(Secret::expose);
    let user = public.get("user");
    user.zip(password)
        .map(|(user, password)| STANDARD.encode(format!("\0{user}\0{password}")))
        .into_iter()
        .collect()
}

/// A mail to one person, who asked for it. It is no notice: nobody subscribes to it, and nothing of it is kept.
pub struct Letter<'a> {
    pub id: Uuid,
    pub at: Time,
    pub to: &'a str,
    /// One line.
    pub title: &'a str,
    pub text: &'a str,
    /// The whole address.
    pub link: &'a str,
}

/// What is written in one mail.
struct Mail<'a> {
    id: Uuid,
    at: Time,
    to: Vec<String>,
    severity: Severity,
    title: &'a str,
    text: &'a str,
    link: Option<&'a str>,
}

/// To everybody whom the channel names.
pub(super) async fn send(
    outbound: &Outbound,
    public: &Public,
    secrets: &Secrets,
    notice: &Notice,
    link: Option<&str>,
) -> Answer {
    let mail = Mail {
        id: notice.id,
        at: notice.at,
        to: recipients(public),
        severity: notice.severity,
        title: &notice.title,
        text: &notice.text,
        link,
    };
    hand_in(outbound, public, secrets, &mail).await
}

pub(super) async fn write(
    outbound: &Outbound,
    public: &Public,
    secrets: &Secrets,
    letter: &Letter<'_>,
) -> Answer {
    if letter.to.parse::<Address>().is_err() {
        return Answer::failed(End::Refused, "the recipient's email address is not valid; correct it");
    }
    let mail = Mail {
        id: letter.id,
        at: letter.at,
        to: vec![letter.to.to_owned()],
        severity: Severity::Info,
        title: letter.title,
        text: letter.text,
        link: Some(letter.link),
    };
    hand_in(outbound, public, secrets, &mail).await
}

async fn hand_in(outbound: &Outbound, public: &Public, secrets: &Secrets, mail: &Mail<'_>) -> Answer {
    let from = public.get("from").map(String::as_str).unwrap_or_default();
    let (Some(server), Some(message)) = (server(public), message(from, mail)) else {
        return Answer::failed(End::Refused, "a field of the channel cannot be read; enter it again");
    };
    let login = public.get("user").zip(secrets.get("password"));
    let login = login.map(|(user, password)| Login { user: user.clone(), password: password.clone() });
    let hello = Hello { typed: public.get("greeting").map(String::as_str), sender: Some(from) };
    let handed_in = timeout(LONGEST, async {
        let login = login.as_ref();
        let mut session = Session::open(outbound, Policy::Lan, &server, login, hello, PATIENCE).await?;
        session.send(from, &mail.to, &message).await?;
        session.close().await;
        Ok(())
    });
    match handed_in.await.unwrap_or(Err(SmtpError::TimedOut)) {
        Ok(()) => Answer::delivered(),
        Err(error @ SmtpError::Greeting { .. }) => Answer::failed(
            end(&error),
            format!("{error}; it may accept another hostname: enter one in the field Greet as"),
        ),
        Err(error) => Answer::failed(end(&error), error.to_string()),
    }
}

fn end(error: &SmtpError) -> End {
    match error {
        SmtpError::Connection(OutboundError::Refused(_) | OutboundError::BadRequest(_))
        | SmtpError::NoStartTls
        | SmtpError::PlainPassword
        | SmtpError::NoLogin
        | SmtpError::Greeting { temporary: false, .. }
        | SmtpError::Login(_)
        | SmtpError::Refused(_)
        | SmtpError::Address(_) => End::Refused,
        SmtpError::Connection(_)
        | SmtpError::Greeting { temporary: true, .. }
        | SmtpError::Temporary(_)
        | SmtpError::Protocol(_)
        | SmtpError::TimedOut => End::Retry,
    }
}

fn message(from: &str, mail: &Mail<'_>) -> Option<Vec<u8>> {
    let title = fitted(&line(mail.title), TITLE_MOST, characters, plain);
    let severity = match mail.severity {
        Severity::Info => "",
        Severity::Warning => "Warning: ",
        Severity::Critical => "Critical: ",
    };
    let subject = format!("[Circuit Breaker] {severity}{title}");
    let mut text = format!("{title}\n");
    let more = fitted(&lines(mail.text), TEXT_MOST, bytes, plain);
    for part in [more.as_str(), mail.link.unwrap_or_default()] {
        if !part.is_empty() {
            text = format!("{text}\n{part}\n");
        }
    }
    let from: Address = from.parse().ok()?;
    // The same in every try: who gets it twice sees it once.
    let id = format!("<{}@{}>", mail.id, from.domain());
    let mut builder = Message::builder()
        .from(Mailbox::new(Some("Circuit Breaker".to_owned()), from))
        .date(SystemTime::from(mail.at))
        .message_id(Some(id))
        .subject(subject)
        .header(ContentType::TEXT_PLAIN)
        // RFC 3834: no answer from somebody's holiday.
        .raw_header(header("Auto-Submitted", "auto-generated")?);
    if mail.severity == Severity::Critical {
        builder = builder.raw_header(header("Importance", "high")?);
    }
    for to in &mail.to {
        builder = builder.to(Mailbox::new(None, to.parse().ok()?));
    }
    Some(builder.body(text).ok()?.formatted())
}

fn header(name: &str, value: &str) -> Option<HeaderValue> {
    let name = HeaderName::new_from_ascii(name.to_owned()).ok()?;
    Some(HeaderValue::new(name, value.to_owned()))
}

fn recipients(public: &Public) -> Vec<String> {
    let all = public.get("to").map(String::as_str).unwrap_or_default();
    all.split(',').map(str::trim).filter(|to| !to.is_empty()).map(ToOwned::to_owned).collect()
}

fn security(public: &Public) -> Security {
    match public.get("security").map(String::as_str) {
        Some("tls") => Security::Tls,
        Some("none") => Security::None,
        _ => Security::StartTls,
    }
}

/// None: what is given is no port.
fn port(public: &Public) -> Option<u16> {
    match (public.get("port"), security(public)) {
        (Some(port), _) => port.parse().ok().filter(|port| *port != 0),
        (None, Security::Tls) => Some(465),
        (None, Security::StartTls) => Some(587),
        (None, Security::None) => Some(25),
    }
}

fn server(public: &Public) -> Option<Server> {
    Some(Server { host: public.get("host")?.clone(), port: port(public)?, security: security(public) })
}
