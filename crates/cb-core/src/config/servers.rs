//! The URLs of the servers that this one uses: PostgreSQL, Redis and NATS.

use url::{ParseError, Url};

use super::{ConfigError, given};
use crate::Secret;

#[derive(Debug, Clone)]
pub struct ClusterUrls {
    /// `redis://` or `rediss://`.
    pub redis: Secret,
    /// `nats://` or `tls://`.
    pub nats: Secret,
}

pub(super) fn database(url: Secret, password: &Secret) -> Result<Option<Secret>, ConfigError> {
    given(url)
        .map(|url| postgres_url("CB_DB_URL", "CB_DB_PASSWORD", &url, password).map(|(_, url)| url))
        .transpose()
}

/// What `cb store copy --to` names: the URL as it was typed, and with the password of the setting. A password in the URL is refused:
/// everybody on the machine reads the arguments of a program.
pub fn new_database(to: &str, password: Option<&Secret>) -> Result<(Url, Secret), ConfigError> {
    let (none, mend) = (
        Secret::new(String::new()),
        "Leave it out of the URL, and set it in CB_DB_PASSWORD_NEW or CB_DB_PASSWORD_NEW_FILE",
    );
    let (shown, url) =
        postgres_url("--to", "CB_DB_PASSWORD_NEW", &Secret::new(to.to_owned()), password.unwrap_or(&none))?;
    if shown.password().is_some() || shown.query_pairs().any(|(name, _)| name == "password") {
        let reason =
            "it contains a password, which every user of this machine can read while the command runs";
        return Err(ConfigError::new("--to", reason, mend));
    }
    Ok((shown, url))
}

/// A URL, or why it is none: for people, and without any part of it.
fn parse(url: &Secret, schemes: &[&str]) -> Result<Url, String> {
    let begins = || {
        let schemes = schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or ");
        format!("it is not a URL, because it does not begin with {schemes}")
    };
    match Url::parse(url.expose()) {
        // `host:port` is read as a scheme and a path.
        Ok(parsed) if parsed.cannot_be_a_base() => Err(begins()),
        Err(ParseError::RelativeUrlWithoutBase) => Err(begins()),
        Ok(parsed) => Ok(parsed),
        // A '/' ends the host, so the password before it is read as the port.
        Err(ParseError::InvalidPort) => {
            Err(format!("it is not a URL, because its port is not a number up to 65535; {SPECIAL}"))
        }
        Err(error) => Err(format!("it is not a URL ({error})")),
    }
}

const SPECIAL: &str = "if its password contains one of / ? # @, write that character as %XX";
/// <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

fn postgres_url(
    setting: &str,
    secret: &str,
    url: &Secret,
    password: &Secret,
) -> Result<(Url, Secret), ConfigError> {
    let wrong = |reason: String| {
        let mend = format!(
            "Set it to a URL such as postgres://cb@db.internal/circuit_breaker, and set the password in {secret} or {secret}_FILE"
        );
        ConfigError::new(setting, reason, mend)
    };
    let shown = parse(url, &["postgres"]).map_err(wrong)?;
    if !["postgres", "postgresql"].contains(&shown.scheme()) {
        return Err(wrong(format!("this server does not support '{}' databases", shown.scheme())));
    }
    if shown.host_str().is_none_or(str::is_empty) && !shown.query_pairs().any(|(name, _)| name == "host") {
        return Err(wrong("it has no host".to_owned()));
    }
    // What a URL leaves out the driver would take from the environment (PGUSER, PGDATABASE, PGPORT, PGSSLMODE).
    let in_query = |wanted: &[&str]| {
        let found = shown.query_pairs().find(|(name, _)| wanted.contains(&name.as_ref()));
        found.map(|(_, value)| value.into_owned())
    };
    if shown.username().is_empty() && in_query(&["user"]).is_none() {
        return Err(wrong(format!("it names no user; {SPECIAL}")));
    }
    if shown.path().trim_start_matches('/').is_empty() && in_query(&["dbname"]).is_none() {
        return Err(wrong("it names no database".to_owned()));
    }
    let ssl_mode = in_query(&["sslmode", "ssl-mode"]);
    if let Some(mode) = &ssl_mode
        && !SSL_MODES.contains(&mode.as_str())
    {
        return Err(wrong(format!("its sslmode is not one of {}", SSL_MODES.join(", "))));
    }
    let mut whole = shown.clone();
    if ssl_mode.is_none() {
        whole.query_pairs_mut().append_pair("sslmode", "prefer");
    }
    // `set_password` percent-encodes, so a '/' in the password is no problem.
    if whole.password().is_none()
        && !password.is_empty()
        && whole.set_password(Some(password.expose())).is_err()
    {
        return Err(wrong("it has no host, so the password cannot be added".to_owned()));
    }
    // A URL without a host names a socket behind it.
    if whole.port().is_none() && whole.has_host() && whole.set_port(Some(5432)).is_err() {
        return Err(wrong("the port cannot be added to it".to_owned()));
    }
    Ok((shown, Secret::new(whole.into())))
}

/// What Redis or NATS is called, and how its URL looks.
pub struct Engine {
    pub setting: &'static str,
    pub name: &'static str,
    /// How its URL begins, without TLS and with it.
    pub schemes: [&'static str; 2],
    /// Whether the path may say the number of a database.
    numbered: bool,
    pub mend: &'static str,
}

pub const REDIS: Engine = Engine {
    setting: "CB_REDIS_URL",
    name: "Redis",
    schemes: ["redis", "rediss"],
    numbered: true,
    mend: "Set it to a URL such as redis://:password@redis.internal:6379 or rediss://user:password@redis.internal; \
           write a special character of the password as %XX",
};

pub const NATS: Engine = Engine {
    setting: "CB_NATS_URL",
    name: "NATS",
    schemes: ["nats", "tls"],
    numbered: false,
    mend: "Set it to a URL such as nats://user:password@nats.internal:4222 or tls://user:password@nats.internal; \
           write a special character of the password as %XX",
};

impl Engine {
    /// The reasons name no part of the URL but its scheme: the rest may be a password.
    fn judge(&self, url: &Secret, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
        let wrong = |reason: String| ConfigError::new(self.setting, reason, self.mend);
        let parsed = parse(url, &self.schemes).map_err(wrong)?;
        if !self.schemes.contains(&parsed.scheme()) {
            let [plain, secure] = self.schemes;
            return Err(wrong(format!(
                "it begins with {}://, not with {plain}:// or {secure}://",
                parsed.scheme()
            )));
        }
        if parsed.host_str().is_none_or(str::is_empty) {
            return Err(wrong("it has no host".to_owned()));
        }
        let path = parsed.path().trim_start_matches('/');
        if !(path.is_empty() || self.numbered && path.parse::<u16>().is_ok()) {
            return Err(wrong(if self.numbered {
                "its path is not the number of a database".to_owned()
            } else {
                "it has a path".to_owned()
            }));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(wrong(
                "it has a part after a ? or a #, which this server does not support".to_owned(),
            ));
        }
        let without_password = parsed.password().is_none_or(str::is_empty);
        // NATS takes a token there.
        if self.numbered && !parsed.username().is_empty() && without_password {
            warnings.push(format!(
                "{} names a user without a password; for a password without a user, begin it with {}://:",
                self.setting,
                parsed.scheme()
            ));
        }
        if parsed.username().is_empty() && without_password {
            warnings.push(format!(
                "{} has no password: everyone who reaches that {} can disturb this server",
                self.setting, self.name
            ));
        }
        Ok(())
    }
}

pub(super) fn cluster(
    redis: Secret,
    nats: Secret,
    postgres: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<ClusterUrls>, ConfigError> {
    let (redis, nats) = match (given(redis), given(nats)) {
        (None, None) => return Ok(None),
        (Some(redis), Some(nats)) => (redis, nats),
        (given, _) => {
            let (there, missing) = if given.is_some() { (REDIS, NATS) } else { (NATS, REDIS) };
            return Err(ConfigError::new(
                missing.setting,
                format!(
                    "{} is set but {} is not, and several servers need both: Redis counts for them, NATS carries events between them",
                    there.setting, missing.setting
                ),
                "Set both, or neither for one server alone",
            ));
        }
    };
    REDIS.judge(&redis, warnings)?;
    NATS.judge(&nats, warnings)?;
    if !postgres {
        return Err(ConfigError::new(
            "CB_DB_URL",
            "CB_REDIS_URL and CB_NATS_URL are set, and several servers can share only PostgreSQL, which CB_DB_URL does not name",
            "Set CB_DB_URL to a PostgreSQL database, or unset CB_REDIS_URL and CB_NATS_URL for one server with SQLite",
        ));
    }
    Ok(Some(ClusterUrls { redis, nats }))
}
