//! SMTP: signs in and leaves; no mail is sent.

use cb_core::Secret;
use cb_net::judge::Policy;
use cb_net::smtp::{Hello, Login, Security, Server, Session, SmtpError};

use super::{Device, Failure, Outcome, PATIENCE, Proof};

/// Over TLS from the first byte on port 465 (RFC 8314), and after `STARTTLS` on every other.
pub async fn prove(device: Device<'_>, user: &str, password: &Secret) -> Outcome {
    let security = if device.port == 465 { Security::Tls } else { Security::StartTls };
    let server = Server { host: device.host.to_owned(), port: device.port, security };
    let login = Login { user: user.to_owned(), password: password.clone() };
    // Who signs in by a mail address belongs to its domain.
    let hello = Hello { typed: None, sender: Some(user) };
    match Session::open(device.outbound, Policy::Lan, &server, Some(&login), hello, PATIENCE).await {
        Ok(session) => {
            session.close().await;
            let how = if security == Security::Tls { "TLS" } else { "STARTTLS" };
            Ok(Proof::default().with("Signed in over", how))
        }
        Err(SmtpError::Connection(error)) => Err(device.failed(error).await),
        Err(SmtpError::TimedOut) => Err(device.silent("It may be off, or speak another protocol there.")),
        Err(error @ SmtpError::Greeting { .. }) => Err(Failure::new(format!(
            "{}: {error}. It may accept a different hostname: the one of CB_PUBLIC_URL, or the domain of the username.",
            device.host
        ))),
        Err(error) => Err(Failure::new(format!("{}: {error}.", device.host))),
    }
}
