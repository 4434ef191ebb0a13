//! The server's settings: environment (`CB_X`, or `CB_X_FILE` naming a file that holds the value)
//! over `cb.toml` (`x = "…"`) over the defaults. The only place that reads the environment.
//!
//! A setting that cannot be used is a [`ConfigError`] that names it, the reason and the mend.

mod role;
mod secrets;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format as _, Serialized, Toml};
use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use crate::Secret;
use crate::allow::Allow;
use crate::origin::{OwnName, own_names};
use secrets::{Form, PASSPHRASE};
use servers::{cluster, database};

pub use role::ServerRole;
pub use secrets::{HOOK_TOKEN, MAKE_KEY, PERSONAL_TOKEN, judge_passphrase};
pub use servers::{ClusterUrls, Engine, NATS, REDIS, new_database};

#[derive(Debug, thiserror::Error)]
#[error("{setting}: {reason}. {mend}")]
pub struct ConfigError {
    pub setting: String,
    pub reason: String,
    pub mend: String,
}

impl ConfigError {
    pub fn new(setting: &str, reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { setting: setting.to_owned(), reason: reason.into(), mend: mend.into() }
    }
}

/// What `Strict-Transport-Security` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hsts {
    On,
    /// Not sent: for a host name that other services use over plain HTTP.
    Off,
    /// `max-age=0`: tells browsers to forget an earlier promise.
    Reset,
}

#[derive(Debug, Clone)]
pub struct Config {
    /// What this server does, of what several servers do together.
    pub role: ServerRole,
    /// The site whose network a worker scans. `None`: the main one.
    pub site: Option<String>,
    pub data_dir: PathBuf,
    pub http_addr: SocketAddr,
    pub https_addr: SocketAddr,
    /// The address people use, if it is not one of the machine's own names.
    pub public_url: Option<Url>,
    /// Further names and origins under which people reach the server.
    pub names: Vec<OwnName>,
    pub trusted_proxies: Vec<IpNet>,
    pub setup_code: Option<Secret>,
    pub api_token: Option<Secret>,
    pub jwt_secret: Option<Secret>,
    pub vault_key: Option<Secret>,
    /// What `cb vault rewrap` goes to.
    pub vault_key_new: Option<Secret>,
    /// What `cb backup` encrypts an archive with, and `cb restore` opens it with.
    pub backup_passphrase: Option<Secret>,
    /// `None`: SQLite under `data_dir`. Holds a password, hence a secret.
    pub db_url: Option<Secret>,
    /// The password of the PostgreSQL that `cb store copy` copies into.
    pub db_password_new: Option<Secret>,
    /// Redis and NATS, which several servers over one database share. `None`: one server, which needs neither.
    pub cluster: Option<ClusterUrls>,
    pub tls: Option<TlsFiles>,
    pub hsts: Hsts,
    /// Public ranges that the server may scan; private ones it may always.
    pub scan_allow: Vec<IpNet>,
    /// Where outbound requests may go although the rules would refuse it.
    pub outbound_allow: Vec<Allow>,
    pub log: String,
    /// Settings that were given and are not known, each as a sentence.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// One line per setting: name in `cb.toml` (the environment's is `CB_` + upper case), default, what
/// it is. `cb config check` and docs/operations.md are held against this table.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    ("role", "all", "all, api or worker: what this server does; cb serve --role takes precedence"),
    ("site", "", "the name of the site whose network this worker scans, if it is not the main one"),
    ("data_dir", "./data", "the folder of the database, the keys and the setup code"),
    ("http_addr", "[::]:8080", "plain HTTP: redirects to HTTPS, answers the health check"),
    ("https_addr", "[::]:8443", "HTTPS: the pages and the API"),
    ("public_url", "", "https://name:port that people use and that links contain; see also CB_NAMES"),
    ("names", "", "further names, or https://name:port, that people use; separated by commas"),
    ("trusted_proxies", "", "addresses or ranges of trusted proxies (X-Forwarded-For); separated by commas"),
    ("setup_code", "", "the one-time setup code, instead of one that the first start creates"),
    ("api_token", "", "the operator's token for scripts (Authorization: Bearer …)"),
    ("jwt_secret", "", "signs sessions, instead of a key that the first start creates"),
    ("vault_key", "", "root key of the vault, instead of a created one; 32 bytes, URL-safe base64"),
    ("vault_key_new", "", "the new root key for cb vault rewrap, in addition to vault_key"),
    ("backup_passphrase", "", "encrypts the archives of cb backup, decrypts them for cb restore"),
    ("db_url", "", "postgres://user@host/database, instead of SQLite under data_dir"),
    ("db_password", "", "the password for db_url"),
    ("db_password_new", "", "the password for the PostgreSQL database that cb store copy copies into"),
    ("redis_url", "", "redis://:password@host or rediss://…, for several servers over one database"),
    ("nats_url", "", "nats://user:password@host or tls://…, for several servers over one database"),
    ("tls_cert", "", "PEM certificate chain, instead of one from the server's own certificate authority"),
    ("tls_key", "", "PEM private key of tls_cert"),
    ("hsts", "on", "on, off or reset (max-age=0)"),
    ("scan_allow", "", "public ranges that the server may scan; separated by commas"),
    ("outbound_allow", "", "hosts or ranges (with :port) that are always allowed; separated by commas"),
    ("log", "info", "log filter, such as info or cb_app=debug,info"),
];

#[derive(Deserialize)]
#[serde(default)]
struct Raw {
    role: String,
    site: String,
    data_dir: PathBuf,
    http_addr: String,
    https_addr: String,
    public_url: String,
    names: String,
    trusted_proxies: String,
    setup_code: Secret,
    api_token: Secret,
    jwt_secret: Secret,
    vault_key: Secret,
    vault_key_new: Secret,
    backup_passphrase: Secret,
    db_url: Secret,
    db_password: Secret,
    db_password_new: Secret,
    redis_url: Secret,
    nats_url: Secret,
    tls_cert: String,
    tls_key: String,
    hsts: String,
    scan_allow: String,
    outbound_allow: String,
    log: String,
}

impl Default for Raw {
    fn default() -> Self {
        let default =
            |name: &str| SETTINGS.iter().find(|s| s.0 == name).map(|s| s.1.to_owned()).unwrap_or_default();
        let none = || Secret::new(String::new());
        Self {
            role: default("role"),
            site: String::new(),
            data_dir: default("data_dir").into(),
            http_addr: default("http_addr"),
            https_addr: default("https_addr"),
            public_url: String::new(),
            names: String::new(),
            trusted_proxies: String::new(),
            setup_code: none(),
            api_token: none(),
            jwt_secret: none(),
            vault_key: none(),
            vault_key_new: none(),
            backup_passphrase: none(),
            db_url: none(),
            db_password: none(),
            db_password_new: none(),
            redis_url: none(),
            nats_url: none(),
            tls_cert: String::new(),
            tls_key: String::new(),
            hsts: default("hsts"),
            scan_allow: String::new(),
            outbound_allow: String::new(),
            log: default("log"),
        }
    }
}

impl Config {
    /// Reads the environment and, if it exists, `cb.toml` in the working directory.
    pub fn load() -> Result<Self, ConfigError> {
        Self::load_as(None)
    }

    /// The same for a role that the command line names, whatever the settings say.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn load_as(role: Option<ServerRole>) -> Result<Self, ConfigError> {
        let environment = std::env::vars_os();
        let given = environment.filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let given =
            given.filter(|(name, _)| role.is_none() || !matches!(name.as_str(), "CB_ROLE" | "CB_ROLE_FILE"));
        let role = role.map(|role| ("CB_ROLE".to_owned(), role.as_str().to_owned()));
        Self::from_vars(given.chain(role), Path::new("cb.toml"))
    }

    /// The same from given variables, for tests and for `cb config check`.
    pub fn from_vars(
        vars: impl IntoIterator<Item = (String, String)>,
        file: &Path,
    ) -> Result<Self, ConfigError> {
        let mut warnings = Vec::new();
        let (mut values, mut direct, mut by_file) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        for (name, value) in vars {
            let Some(key) = name.strip_prefix("CB_").map(str::to_ascii_lowercase) else { continue };
            if known(&key) {
                if !value.is_empty() {
                    direct.insert(key.clone());
                }
                one_line(&name, "it", &value)?;
                values.insert(key, value);
            } else if let Some(key) = key.strip_suffix("_file").filter(|k| known(k)) {
                if value.trim().is_empty() {
                    let mend = "Set it to the name of the file that contains the value, or unset it";
                    return Err(ConfigError::new(&name, "it is empty", mend));
                }
                let text = std::fs::read_to_string(&value).map_err(|e| {
                    ConfigError::new(
                        &name,
                        format!("{value} cannot be read ({e})"),
                        "Set it to a file that the user that runs the server can read, or unset it if it is not needed any more, as a setup code after setup",
                    )
                })?;
                if text.trim().is_empty() {
                    return Err(ConfigError::new(
                        &name,
                        format!("{value} is empty"),
                        format!("Write the value into the file, or unset {name}"),
                    ));
                }
                let text = text.trim_end_matches(['\r', '\n']);
                one_line(&name, &value, text)?;
                by_file.insert(key.to_owned(), text.to_owned());
            } else {
                warnings.push(format!("{name} is not a setting of this version and is ignored"));
            }
        }
        if let Some(twice) = by_file.keys().find(|key| direct.contains(*key)) {
            let name = format!("CB_{}", twice.to_ascii_uppercase());
            return Err(ConfigError::new(
                &name,
                format!("{name} and {name}_FILE are both set"),
                "Unset one of them",
            ));
        }
        values.extend(by_file);
        let wrong = |e: figment::Error| {
            ConfigError::new(
                &file.display().to_string(),
                e.to_string(),
                "Correct that line; see docs/operations.md",
            )
        };
        if let Err(error) = std::fs::File::open(file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(ConfigError::new(
                &file.display().to_string(),
                format!("it cannot be read ({error})"),
                "Let the user that runs the server read it, or run the command in another folder",
            ));
        }
        // Exactly this file: not one of the same name in a folder above.
        let from_file = if file.exists() { Figment::from(Toml::file_exact(file)) } else { Figment::new() };
        let given: BTreeMap<String, figment::value::Value> = from_file.extract().map_err(wrong)?;
        for key in given.keys().filter(|key| !known(key)) {
            warnings
                .push(format!("{key} in {} is not a setting of this version and is ignored", file.display()));
        }
        let raw: Raw = from_file.merge(Serialized::globals(values)).extract().map_err(wrong)?;
        Self::judge(raw, warnings)
    }

    fn judge(mut raw: Raw, mut warnings: Vec<String>) -> Result<Self, ConfigError> {
        if !raw.vault_key.is_empty() && raw.vault_key.matches(raw.vault_key_new.expose().as_bytes()) {
            warnings.push("CB_VAULT_KEY_NEW is the same as CB_VAULT_KEY and can be removed".to_owned());
            raw.vault_key_new = Secret::new(String::new());
        }
        let secrets = [
            ("CB_SETUP_CODE", &raw.setup_code, Form::Text { least: 12 }),
            ("CB_API_TOKEN", &raw.api_token, Form::Token { least: 32 }),
            ("CB_JWT_SECRET", &raw.jwt_secret, Form::Text { least: 32 }),
            ("CB_VAULT_KEY", &raw.vault_key, Form::Key),
            ("CB_VAULT_KEY_NEW", &raw.vault_key_new, Form::Key),
            ("CB_BACKUP_PASSPHRASE", &raw.backup_passphrase, PASSPHRASE),
        ];
        for (i, (name, secret, form)) in secrets.iter().enumerate() {
            form.judge(name, secret)?;
            for (other, twin, _) in &secrets[..i] {
                if !secret.is_empty() && twin.matches(secret.expose().as_bytes()) {
                    return Err(ConfigError::new(name, format!("it is the same as {other}"), form.remedy()));
                }
            }
        }
        let tls = match (raw.tls_cert.as_str(), raw.tls_key.as_str()) {
            ("", "") => None,
            ("", _) => {
                return Err(ConfigError::new(
                    "CB_TLS_CERT",
                    "CB_TLS_KEY is set but the certificate is not",
                    "Set both, or neither to use the server's own certificate authority",
                ));
            }
            (_, "") => {
                return Err(ConfigError::new(
                    "CB_TLS_KEY",
                    "CB_TLS_CERT is set but the key is not",
                    "Set both, or neither to use the server's own certificate authority",
                ));
            }
            (cert, key) => Some(TlsFiles { cert: cert.into(), key: key.into() }),
        };
        let db_url = database(raw.db_url, &raw.db_password)?;
        let cluster = cluster(raw.redis_url, raw.nats_url, db_url.is_some(), &mut warnings)?;
        let role: ServerRole = raw.role.parse().map_err(|why: String| {
            ConfigError::new(
                "CB_ROLE",
                why,
                "Set CB_ROLE=all for one server that does everything, or leave it out",
            )
        })?;
        role.judge(db_url.as_ref(), cluster.as_ref())?;
        Ok(Self {
            role,
            site: role.site(&raw.site)?,
            data_dir: raw.data_dir,
            http_addr: address("CB_HTTP_ADDR", &raw.http_addr)?,
            https_addr: address("CB_HTTPS_ADDR", &raw.https_addr)?,
            public_url: public_url(&raw.public_url)?,
            names: names(&raw.names)?,
            trusted_proxies: ranges("CB_TRUSTED_PROXIES", &raw.trusted_proxies)?,
            setup_code: given(raw.setup_code),
            api_token: given(raw.api_token),
            jwt_secret: given(raw.jwt_secret),
            vault_key: given(raw.vault_key),
            vault_key_new: given(raw.vault_key_new),
            backup_passphrase: given(raw.backup_passphrase),
            db_url,
            db_password_new: given(raw.db_password_new),
            cluster,
            tls,
            hsts: match raw.hsts.as_str() {
                "on" => Hsts::On,
                "off" => Hsts::Off,
                "reset" => Hsts::Reset,
                other => {
                    return Err(ConfigError::new(
                        "CB_HSTS",
                        format!("'{other}' is not one of on, off and reset"),
                        "Set CB_HSTS=on, or leave it out",
                    ));
                }
            },
            scan_allow: scan_allow(&raw.scan_allow)?,
            outbound_allow: outbound_allow(&raw.outbound_allow)?,
            log: raw.log,
            warnings,
        })
    }
}

fn known(key: &str) -> bool {
    SETTINGS.iter().any(|s| s.0 == key)
}

fn given(secret: Secret) -> Option<Secret> {
    (!secret.is_empty()).then_some(secret)
}

fn address(name: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        ConfigError::new(
            name,
            format!("'{text}' is not an address with a port"),
            "Set it to an address such as [::]:8443 (IPv6 and IPv4), 0.0.0.0:8443 (IPv4) or 192.168.1.20:8443",
        )
    })
}

/// No setting has several lines, and a password with a line break in it works nowhere.
fn one_line(name: &str, what: &str, value: &str) -> Result<(), ConfigError> {
    if value.chars().any(char::is_control) {
        let reason = format!("{what} contains a line break or another control character");
        return Err(ConfigError::new(name, reason, "Write the value as one line, and nothing else"));
    }
    Ok(())
}

/// Ranges that may be scanned though they are public. Some never are, whatever is said here.
fn scan_allow(text: &str) -> Result<Vec<IpNet>, ConfigError> {
    let name = "CB_SCAN_ALLOW";
    let all = ranges(name, text)?;
    match all
        .iter()
        .find(|net| net.prefix_len() > 0 && (net.addr().is_loopback() || net.addr().is_multicast()))
    {
        Some(never) => Err(ConfigError::new(
            name,
            format!("{never} is never scanned, because its addresses are those of this machine or of groups"),
            "Leave it out",
        )),
        None => Ok(all),
    }
}

fn ranges(name: &str, text: &str) -> Result<Vec<IpNet>, ConfigError> {
    text.split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|t| {
            t.parse::<IpNet>().or_else(|_| t.parse().map(|ip: std::net::IpAddr| ip.into())).map_err(|_| {
                ConfigError::new(
                    name,
                    format!("'{t}' is neither an address nor a range"),
                    "Set it to addresses such as 10.0.0.2 or 10.0.0.0/24, separated by commas",
                )
            })
        })
        .collect()
}

fn outbound_allow(text: &str) -> Result<Vec<Allow>, ConfigError> {
    text.split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(|t| {
            t.parse().map_err(|why: String| {
                ConfigError::new(
                    "CB_OUTBOUND_ALLOW",
                    format!("'{t}' cannot be used: {why}"),
                    "Set it to entries such as nas.lan, 127.0.0.1:9000, 10.8.0.0/16 or [fd00::/8]:443, separated by commas",
                )
            })
        })
        .collect()
}

fn names(text: &str) -> Result<Vec<OwnName>, ConfigError> {
    own_names(text).map_err(|(entry, why)| {
        ConfigError::new(
            "CB_NAMES",
            format!("'{entry}' cannot be used: {why}"),
            "Set it to entries such as breaker.lan, 192.168.1.20 or https://breaker.example.net:9443, separated by commas",
        )
    })
}

fn public_url(text: &str) -> Result<Option<Url>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mend = "Set it to a URL such as https://lab.example.net or https://lab.example.net:8443";
    let url = Url::parse(text)
        .map_err(|e| ConfigError::new("CB_PUBLIC_URL", format!("'{text}' is not a URL ({e})"), mend))?;
    if url.scheme() != "https"
        || url.host_str().is_none()
        || !url.username().is_empty()
        || url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(ConfigError::new(
            "CB_PUBLIC_URL",
            format!("'{text}' does not have the form https://host:port"),
            mend,
        ));
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Config;

    fn load(vars: &[(&str, &str)]) -> Result<Config, String> {
        Config::from_vars(
            vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
            Path::new("/nonexistent/cb.toml"),
        )
        .map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = load(&[]).expect("defaults are valid");
        assert_eq!(config.https_addr.to_string(), "[::]:8443");
        assert!(config.db_url.is_none() && config.warnings.is_empty());
    }

    #[test]
    fn a_bad_setting_names_itself_the_reason_and_the_mend() {
        let zeros = format!("{}=", "A".repeat(43));
        for (name, value, says) in [
            ("CB_HTTPS_ADDR", "8443", "not an address with a port"),
            ("CB_PUBLIC_URL", "http://lab", "https://host:port"),
            ("CB_PUBLIC_URL", "https://lab/#x", "https://host:port"),
            ("CB_NAMES", "lab, http://attic.lan", "'http://attic.lan' cannot be used: only https is served"),
            ("CB_JWT_SECRET", "short", "at least 32"),
            ("CB_API_TOKEN", "changeme-changeme-changeme-changeme", "placeholder"),
            ("CB_VAULT_KEY", "cG9saXNoZWQgYnJhc3MgbGFtcHMgaW4gdGhlIGF0dGM", "32 bytes in URL-safe base64"),
            ("CB_API_TOKEN", "cb_hook_k3QwZr8xT1vB6nMhY0pLdF5s", "begins with cb_hook_"),
            ("CB_API_TOKEN", "cb_pat_k3QwZr8xT1vB6nMhY0pLdF5sJc", "begins with cb_pat_"),
            ("CB_API_TOKEN", "cb_pat_k3QwZr8xT1vB6nMhY0pLdF5sJc", "openssl rand -base64 48"),
            ("CB_VAULT_KEY", &zeros, "placeholder"),
            ("CB_VAULT_KEY", "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=", "placeholder"),
            ("CB_VAULT_KEY", "Y2hhbmdlbWUtY2hhbmdlbWUtY2hhbmdlbWUtY2hhbmc=", "placeholder"),
            ("CB_JWT_SECRET", &zeros, "placeholder"),
            ("CB_VAULT_KEY_NEW", &"a key that is none ".repeat(3), "32 bytes in URL-safe base64"),
            ("CB_DB_URL", "mysql://x", "does not support"),
            ("CB_HSTS", "maybe", "not one of on, off and reset"),
            ("CB_TLS_KEY", "/k", "certificate is not"),
            ("CB_SCAN_ALLOW", "8.8.8", "neither an address nor a range"),
            ("CB_SCAN_ALLOW", "8.8.8.0/24, 127.0.0.0/28", "127.0.0.0/28 is never scanned"),
            ("CB_SCAN_ALLOW", "ff02::1", "never scanned"),
            ("CB_DB_PASSWORD", "two\nlines", "it contains a line break"),
            ("CB_DB_URL", "postgres://db/x", "it names no user"),
            ("CB_DB_URL", "postgres://cb:1/2@db/x", "it names no user; if its password contains one of"),
            ("CB_DB_URL", "postgres://cb:a/b@db/x", "if its password contains one of"),
            ("CB_DB_URL", "postgres://cb@db", "it names no database"),
            ("CB_DB_URL", "postgres://cb@db/x?sslmode=foo", "its sslmode is not one of disable, allow"),
            ("CB_OUTBOUND_ALLOW", "http://nas/", "it is a URL: leave out"),
            ("CB_OUTBOUND_ALLOW", "nas, 10.0.0:80", "'10.0.0:80' cannot be used"),
            ("CB_JWT_SECRET_FILE", "/nonexistent/x", "cannot be read"),
            ("CB_JWT_SECRET_FILE", "", "it is empty"),
        ] {
            let error = load(&[(name, value)]).expect_err(name);
            assert!(error.contains(says) && error.contains("CB_"), "{name}: {error}");
        }
    }

    #[test]
    fn two_equal_secrets_are_refused() {
        let s = "k3QwZr8xT1vB6nMhY0pLdF5sJcGaUeXi9o";
        let error = load(&[("CB_API_TOKEN", s), ("CB_JWT_SECRET", s)]).expect_err("equal");
        assert!(error.contains("the same as CB_API_TOKEN"), "{error}");
    }

    #[test]
    fn a_password_with_a_slash_survives_the_url() {
        let config =
            load(&[("CB_DB_URL", "postgres://cb@db/x"), ("CB_DB_PASSWORD", "a/b@c")]).expect("valid");
        assert_eq!(config.db_url.expect("url").expose(), "postgres://cb:a%2Fb%40c@db:5432/x?sslmode=prefer");
    }

    #[test]
    fn several_servers_need_redis_nats_and_postgresql() {
        let (redis, nats) =
            (("CB_REDIS_URL", "redis://:hemmelig@r/2"), ("CB_NATS_URL", "tls://cb:hemmelig@n"));
        let db = ("CB_DB_URL", "postgres://cb@db/x");
        let config = load(&[redis, nats, db]).expect("all three");
        assert!(config.cluster.is_some() && config.warnings.is_empty(), "{:?}", config.warnings);
        for (vars, names, says) in [
            (vec![redis, db], "CB_NATS_URL", "CB_REDIS_URL is set but CB_NATS_URL is not"),
            (vec![nats, db], "CB_REDIS_URL", "CB_NATS_URL is set but CB_REDIS_URL is not"),
            (vec![redis, nats], "CB_DB_URL", "share only PostgreSQL"),
            (vec![("CB_REDIS_URL", "http://:hemmelig@r"), nats, db], "CB_REDIS_URL", "redis:// or rediss://"),
            (vec![("CB_REDIS_URL", "redis://:hemmelig@r:port"), nats, db], "CB_REDIS_URL", "not a URL"),
            (vec![("CB_REDIS_URL", "redis://:hemmelig@r/hemmelig"), nats, db], "CB_REDIS_URL", "number"),
            (
                vec![("CB_REDIS_URL", "rediss://:hemmelig@r/#insecure"), nats, db],
                "CB_REDIS_URL",
                "after a ? or a #",
            ),
            (vec![redis, ("CB_NATS_URL", "redis://cb:hemmelig@n"), db], "CB_NATS_URL", "nats:// or tls://"),
            (vec![redis, ("CB_NATS_URL", "nats://cb:hemmelig@n/x"), db], "CB_NATS_URL", "path"),
            (
                vec![redis, ("CB_NATS_URL", "nats:hemmelig"), db],
                "CB_NATS_URL",
                "does not begin with nats:// or",
            ),
            (
                vec![redis, ("CB_NATS_URL", "10.0.0.5:4222"), db],
                "CB_NATS_URL",
                "does not begin with nats:// or",
            ),
            (
                vec![redis, ("CB_NATS_URL", "hemmelig:4222"), db],
                "CB_NATS_URL",
                "does not begin with nats:// or",
            ),
            (vec![redis, ("CB_NATS_URL", "nats:///hemmelig"), db], "CB_NATS_URL", "no host"),
        ] {
            let error = load(&vars).expect_err(says);
            assert!(error.starts_with(names) && error.contains(says), "{error}");
            assert!(!error.contains("hemmelig") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_server_of_the_cluster_without_a_password_is_told() {
        let config = load(&[
            ("CB_REDIS_URL", "redis://r"),
            ("CB_NATS_URL", "nats://token@n"),
            ("CB_DB_URL", "postgres://cb@db/x"),
        ]);
        let warnings = config.expect("usable").warnings;
        assert!(
            warnings.len() == 1 && warnings[0].starts_with("CB_REDIS_URL has no password"),
            "{warnings:?}"
        );
        let config = load(&[
            ("CB_REDIS_URL", "rediss://secret@r"),
            ("CB_NATS_URL", "nats://token@n"),
            ("CB_DB_URL", "postgres://cb@db/x"),
        ]);
        let warnings = config.expect("usable").warnings;
        assert!(warnings.len() == 1 && warnings[0].ends_with("begin it with rediss://:"), "{warnings:?}");
    }

    #[test]
    fn a_setting_that_is_given_twice_is_refused() {
        let file = std::env::temp_dir().join(format!("cb-config-twice-{}", std::process::id()));
        std::fs::write(&file, "9.9.9.9:1\n").expect("written");
        let path = file.to_str().expect("a path");
        for pair in [
            [("CB_HTTPS_ADDR", "1.1.1.1:1"), ("CB_HTTPS_ADDR_FILE", path)],
            [("CB_HTTPS_ADDR_FILE", path), ("CB_HTTPS_ADDR", "1.1.1.1:1")],
        ] {
            let why = load(&pair).expect_err("twice");
            assert!(why.contains("CB_HTTPS_ADDR and CB_HTTPS_ADDR_FILE are both set"), "{why}");
        }
        let empty =
            load(&[("CB_HTTPS_ADDR_FILE", path), ("CB_HTTPS_ADDR", "")]).expect("one of them says nothing");
        assert_eq!(empty.https_addr.to_string(), "9.9.9.9:1");
        std::fs::remove_file(file).expect("removed");
    }

    #[test]
    fn an_empty_file_is_refused_for_every_setting_and_not_taken_for_an_unset_one() {
        let file = std::env::temp_dir().join(format!("cb-empty-{}", std::process::id()));
        for text in ["", "\n", " \r\n\n"] {
            std::fs::write(&file, text).expect("written");
            for (key, ..) in super::SETTINGS {
                let name = format!("CB_{}_FILE", key.to_ascii_uppercase());
                let error = load(&[(&name, file.to_str().expect("text"))]).expect_err(&name);
                assert!(error.starts_with(&name) && error.contains("is empty"), "{name}: {error}");
            }
        }
        std::fs::remove_file(file).expect("removed");
    }

    #[test]
    fn a_slip_in_the_file_is_told_and_no_other_file_is_read() {
        let dir = std::env::temp_dir().join(format!("cb-config-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("below")).expect("made");
        std::fs::write(dir.join("cb.toml"), "log = \"debug\"\nlgo = \"debug\"\n").expect("written");
        let read = |file: &str| Config::from_vars([], &dir.join(file)).expect("usable");
        let above = read("cb.toml");
        assert_eq!(above.log, "debug");
        assert!(above.warnings.len() == 1 && above.warnings[0].starts_with("lgo "), "{:?}", above.warnings);
        assert_eq!(read("below/cb.toml").log, "info");
        std::fs::remove_dir_all(dir).expect("removed");
    }

    #[test]
    fn an_unknown_setting_is_told() {
        let config = load(&[("CB_HTPS_ADDR", "0.0.0.0:1")]).expect("valid");
        assert!(config.warnings[0].contains("CB_HTPS_ADDR"));
    }
}
