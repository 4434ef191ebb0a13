//! Why Redis or NATS cannot be reached, in sentences for the one who has set its address.

use std::io;

use cb_core::config::ConfigError;
use cb_core::connection;

/// One of the two, and how its address is written.
pub(crate) struct Service {
    pub name: &'static str,
    pub setting: &'static str,
    /// How its URL begins, without TLS and with it.
    pub schemes: [&'static str; 2],
    pub example: &'static str,
}

pub(crate) const REDIS: Service = Service {
    name: "Redis",
    setting: "CB_REDIS_URL",
    schemes: ["redis", "rediss"],
    example: "redis://:password@redis.internal:6379",
};

pub(crate) const NATS: Service = Service {
    name: "NATS",
    setting: "CB_NATS_URL",
    schemes: ["nats", "tls"],
    example: "nats://user:password@nats.internal:4222",
};

impl Service {
    /// The settings were judged before, so this is seldom said.
    pub fn wrong(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError::new(self.setting, reason, format!("Set it to a URL such as {}", self.example))
    }

    pub fn refuses_password(&self) -> String {
        format!("{} refuses the user or the password of {}.", self.name, self.setting)
    }

    pub fn is_silent(&self) -> String {
        format!("{} does not answer.", self.name)
    }

    pub fn hung_up(&self) -> String {
        format!("{} closed the connection.", self.name)
    }

    /// Before anything was answered.
    pub fn hung_up_at_once(&self) -> String {
        let Self { setting, schemes: [_, tls], .. } = self;
        format!("{} If it speaks only TLS, begin {setting} with {tls}://.", self.hung_up())
    }

    pub fn has_no_address(&self) -> String {
        format!("The host of {0} has no address: correct it in {0}.", self.setting)
    }

    pub fn fails_in_tls(&self, why: &str) -> String {
        let Self { name, setting, schemes: [plain, _], .. } = self;
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
        let Self { name, setting, schemes: [_, tls], .. } = self;
        format!(
            "What answers at the host and port of {setting} does not speak as {name} does: correct them, or begin {setting} with {tls}:// if it speaks only TLS."
        )
    }

    pub fn is_unreachable(&self, error: &io::Error) -> String {
        let Self { name, setting, .. } = self;
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
