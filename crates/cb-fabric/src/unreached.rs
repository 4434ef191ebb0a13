//! Why Redis or NATS cannot be reached, in sentences for the one who has set its address.

use std::io;

use cb_core::config::{self, ConfigError, Engine};
use cb_core::connection;

/// One of the two.
pub(crate) struct Service(Engine);

pub(crate) const REDIS: Service = Service(config::REDIS);
pub(crate) const NATS: Service = Service(config::NATS);

impl Service {
    /// The settings were judged before, so this is seldom said.
    pub fn wrong(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(self.0.setting, reason, self.0.mend)
    }

    pub fn refuses_password(&self) -> String {
        format!("{} refuses the user or the password of {}.", self.0.name, self.0.setting)
    }

    pub fn is_silent(&self) -> String {
        format!("{} does not answer.", self.0.name)
    }

    /// To the first thing that is said in TLS, as a server is that waits for the rest of it.
    pub fn is_silent_in_tls(&self) -> String {
        let Engine { setting, schemes: [plain, _], .. } = self.0;
        format!("{} If it speaks no TLS, begin {setting} with {plain}://.", self.is_silent())
    }

    pub fn hung_up(&self) -> String {
        format!("{} closed the connection.", self.0.name)
    }

    /// Before anything was answered.
    pub fn hung_up_at_once(&self) -> String {
        let Engine { setting, schemes: [_, tls], .. } = self.0;
        format!("{} If it speaks only TLS, begin {setting} with {tls}://.", self.hung_up())
    }

    pub fn has_no_address(&self) -> String {
        format!("The host of {0} has no address: correct it in {0}.", self.0.setting)
    }

    pub fn fails_in_tls(&self, why: &str) -> String {
        let Engine { name, setting, schemes: [plain, _], .. } = self.0;
        let mend = if why.contains("CertificateRequired") {
            format!(
                "This {name} asks for certificates of clients, which servers do not have: turn that off in {name}."
            )
        } else if why.contains("ertificate") {
            format!(
                "The certificate of {name} must be valid now, name the host of {setting}, and be signed by an authority that this machine trusts."
            )
        } else {
            format!("If this {name} speaks no TLS, begin {setting} with {plain}://.")
        };
        format!("The TLS connection to {name} failed ({why}). {mend}")
    }

    pub fn is_another_service(&self) -> String {
        let Engine { name, setting, schemes: [_, tls], .. } = self.0;
        format!(
            "What answers at the host and port of {setting} does not speak as {name} does: correct them, or begin {setting} with {tls}:// if it speaks only TLS."
        )
    }

    pub fn is_unreachable(&self, error: &io::Error) -> String {
        let Engine { name, setting, .. } = self.0;
        let said = error.to_string();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                format!("Nothing listens at the host and port of {setting}.")
            }
            // What is said through TLS, and the certificate, are judged by the TLS library.
            io::ErrorKind::InvalidData => self.fails_in_tls(&said),
            io::ErrorKind::InvalidInput => self.is_another_service(),
            _ if said.contains("Temporary failure in name resolution") => format!(
                "The host of {setting} cannot be resolved at the moment: this machine's DNS server does not answer."
            ),
            _ if said.contains("lookup address") => self.has_no_address(),
            _ => format!(
                "{name} cannot be reached at the host and port of {setting} ({}).",
                connection::words(error)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{NATS, REDIS};

    #[test]
    fn what_the_library_says_is_told_with_the_setting() {
        let resolver = "failed to lookup address information: Name or service not known";
        for (error, says) in [
            (io::Error::from_raw_os_error(111), "Nothing listens at the host and port of CB_NATS_URL."),
            (
                io::Error::other(resolver),
                "The host of CB_NATS_URL has no address: correct it in CB_NATS_URL.",
            ),
            (
                io::Error::from_raw_os_error(113),
                "NATS cannot be reached at the host and port of CB_NATS_URL (the address cannot be reached).",
            ),
        ] {
            assert_eq!(NATS.is_unreachable(&error), says);
        }
        let tls = REDIS.is_unreachable(&io::Error::new(io::ErrorKind::InvalidData, "corrupt message"));
        assert!(
            tls.contains("(corrupt message)") && tls.contains("begin CB_REDIS_URL with redis://"),
            "{tls}"
        );
    }
}
