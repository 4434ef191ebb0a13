//! What one server of several does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ClusterUrls, ConfigError};
use crate::Secret;

/// Characters of a site's name.
const SITE_MOST: usize = 64;

/// Called a server's role, to tell it from a user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerRole {
    /// Everything, in one process.
    #[default]
    All,
    /// Answers people and programs: pages, API, streams.
    Api,
    /// Scans, delivers, and does the periodic work. It opens no port.
    Worker,
}

impl ServerRole {
    pub const ALL: [ServerRole; 3] = [ServerRole::All, ServerRole::Api, ServerRole::Worker];

    pub const fn as_str(self) -> &'static str {
        match self {
            ServerRole::All => "all",
            ServerRole::Api => "api",
            ServerRole::Worker => "worker",
        }
    }

    /// Whether it listens for requests.
    pub const fn serves(self) -> bool {
        matches!(self, ServerRole::All | ServerRole::Api)
    }

    /// Whether it does what no request waits for: scans, deliveries, periodic work.
    pub const fn works(self) -> bool {
        matches!(self, ServerRole::All | ServerRole::Worker)
    }

    /// The site that a server was given. Only a worker scans for one site alone: a server that does everything is the main one's.
    pub(super) fn site(self, name: &str) -> Result<Option<String>, ConfigError> {
        let name = name.trim();
        if name.is_empty() {
            return Ok(None);
        }
        let refused = |reason: String, mend: &str| Err(ConfigError::new("CB_SITE", reason, mend));
        if self != ServerRole::Worker {
            return refused(
                format!("only a worker belongs to a site, and this server has the role {self}"),
                "Set CB_ROLE=worker, or leave out CB_SITE",
            );
        }
        let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
        let named = name.starts_with(char::is_alphanumeric) && name.chars().all(plain);
        if !named || name.chars().count() > SITE_MOST {
            return refused(
                format!(
                    "a site's name begins with a letter or a digit, has only letters, digits, spaces and - _ . in it, and at most {SITE_MOST} characters"
                ),
                "Give the site a short name, such as CB_SITE=cellar",
            );
        }
        Ok(Some(name.to_owned()))
    }

    /// A server that does only a part needs others, and what they share.
    pub(super) fn judge(
        self,
        db_url: Option<&Secret>,
        cluster: Option<&ClusterUrls>,
    ) -> Result<(), ConfigError> {
        if self == ServerRole::All {
            return Ok(());
        }
        let needs = |setting: &str, form: &str| {
            Err(ConfigError::new(
                setting,
                format!(
                    "it is not set, but a server with the role {self} needs the PostgreSQL, Redis and NATS that it shares with other servers"
                ),
                format!(
                    "Set {setting}={form}, or leave out --role and CB_ROLE to run everything in one server"
                ),
            ))
        };
        if db_url.is_none() {
            return needs("CB_DB_URL", "postgres://cb@db.internal/circuit_breaker");
        }
        // One without the other was refused before.
        if cluster.is_none() {
            return needs(
                "CB_REDIS_URL",
                "redis://:PASSWORD@redis.internal:6379 and CB_NATS_URL=nats://USER:PASSWORD@nats.internal:4222",
            );
        }
        Ok(())
    }
}

impl fmt::Display for ServerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ServerRole {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("'{text}' is not one of all, api and worker"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::ServerRole;
    use crate::config::Config;

    const DB: (&str, &str) = ("CB_DB_URL", "postgres://cb@db/x");
    const REDIS: (&str, &str) = ("CB_REDIS_URL", "redis://:p@r");
    const NATS: (&str, &str) = ("CB_NATS_URL", "nats://u:p@n");

    fn load(vars: &[(&str, &str)]) -> Result<Config, String> {
        let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_part_of_the_work_needs_what_servers_share() {
        assert_eq!(load(&[]).expect("valid").role, ServerRole::All);
        for role in ["api", "worker"] {
            let role = ("CB_ROLE", role);
            let config = load(&[role, DB, REDIS, NATS]).expect("all three");
            assert_eq!(config.role.as_str(), role.1);
            for (vars, missing) in [
                (vec![role], "CB_DB_URL"),
                (vec![role, DB], "CB_REDIS_URL"),
                (vec![role, DB, REDIS], "CB_NATS_URL"),
                (vec![role, DB, NATS], "CB_REDIS_URL"),
                (vec![role, REDIS, NATS], "CB_DB_URL"),
            ] {
                let why = load(&vars).expect_err(missing);
                assert!(why.starts_with(missing) && why.contains("Set ") && !why.contains('\n'), "{why}");
            }
        }
        let why = load(&[("CB_ROLE", "api")]).expect_err("alone");
        assert!(why.contains("the role api needs") && why.contains("postgres://"), "{why}");
        let why = load(&[("CB_ROLE", "workers")]).expect_err("no role");
        assert!(why.contains("'workers' is not one of all, api and worker"), "{why}");
        // What the command line adds comes last, and counts.
        assert_eq!(load(&[("CB_ROLE", "api"), ("CB_ROLE", "all")]).expect("valid").role, ServerRole::All);
    }

    #[test]
    fn only_a_worker_belongs_to_a_site() {
        let worker = ("CB_ROLE", "worker");
        let site = |name| load(&[worker, DB, REDIS, NATS, ("CB_SITE", name)]);
        assert_eq!(site(" cellar ").expect("valid").site.as_deref(), Some("cellar"));
        assert_eq!(site(" ").expect("valid").site, None);
        assert_eq!(site("Keller 2.OG").expect("valid").site.as_deref(), Some("Keller 2.OG"));
        for bad in ["a\nb", &"x".repeat(65), "*", "../..", "-x", "a/b"] {
            assert!(site(bad).expect_err("no name").contains("CB_SITE"));
        }
        let why = load(&[("CB_SITE", "cellar")]).expect_err("no worker");
        assert!(why.contains("only a worker belongs to a site") && why.contains("CB_ROLE=worker"), "{why}");
    }
}
