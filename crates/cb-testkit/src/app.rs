//! The real application over a database of the test's own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cb_app::setup::SetupIn;
use cb_app::{App, Ctx, RequestMeta, StartError};
use cb_core::config::Config;
use cb_core::{Entropy, Error, OsEntropy, Principal, Secret};
use tempfile::TempDir;

use crate::{Nats, Postgres, Redis, TestClock};

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

pub struct TestApp {
    pub app: App,
    pub clock: Arc<TestClock>,
    config: Config,
    /// Stopped when the test is over.
    postgres: Option<Postgres>,
    engines: Option<(Redis, Nats)>,
    dir: TempDir,
}

impl TestApp {
    pub const USERNAME: &str = "maria";
    pub const PASSWORD: &str = "seven green kettles sing";
    pub const API_TOKEN: &str = "an-operator-token-of-the-tests-0123456789";

    /// A fresh instance that waits for setup. It may reach the servers that tests start on 127.0.0.1.
    pub async fn new(database: Database) -> Self {
        Self::with(database, "127.0.0.1", None).await
    }

    /// One of several servers, over PostgreSQL, Redis and NATS, that waits for setup; see [`Self::second`].
    pub async fn of_cluster() -> Self {
        Self::with(Database::Postgres, "127.0.0.1", Some((Redis::start(), Nats::start()))).await
    }

    /// The same, set up, and the administrator signed in.
    pub async fn clustered() -> (Self, Ctx) {
        let test = Self::of_cluster().await;
        let ctx = test.set_up().await;
        (test, ctx)
    }

    pub fn postgres(&mut self) -> &mut Postgres {
        self.postgres.as_mut().expect("PostgreSQL")
    }

    pub fn redis(&self) -> Option<&Redis> {
        self.engines.as_ref().map(|(redis, _)| redis)
    }

    /// Redis and NATS of [`Self::clustered`].
    pub fn engines(&mut self) -> &mut (Redis, Nats) {
        self.engines.as_mut().expect("a cluster")
    }

    /// One that may reach nothing but what everybody may.
    pub async fn closed(database: Database) -> (Self, Ctx) {
        let test = Self::with(database, "", None).await;
        let ctx = test.set_up().await;
        (test, ctx)
    }

    async fn with(database: Database, outbound_allow: &str, engines: Option<(Redis, Nats)>) -> Self {
        let dir = TempDir::with_prefix("cb-test-").expect("a temporary folder");
        let postgres = (database == Database::Postgres).then(Postgres::start);
        let mut vars = vec![("CB_DATA_DIR".to_owned(), dir.path().join("data").display().to_string())];
        vars.push(("CB_API_TOKEN".to_owned(), Self::API_TOKEN.to_owned()));
        vars.push(("CB_OUTBOUND_ALLOW".to_owned(), outbound_allow.to_owned()));
        if let Some(postgres) = &postgres {
            vars.push(("CB_DB_URL".to_owned(), postgres.url().to_owned()));
        }
        if let Some((redis, nats)) = &engines {
            vars.push(("CB_REDIS_URL".to_owned(), redis.url().to_owned()));
            vars.push(("CB_NATS_URL".to_owned(), nats.url().to_owned()));
            vars.push(("CB_SETUP_CODE".to_owned(), "one-code-of-all-servers".to_owned()));
        }
        let config =
            Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("a valid configuration");
        let clock = Arc::new(TestClock::new());
        let app = Box::pin(App::open(&config, clock.clone(), Arc::new(OsEntropy)))
            .await
            .expect("the application opens");
        Self { app, clock, config, postgres, engines, dir }
    }

    /// Set up, and the administrator signed in.
    pub async fn ready(database: Database) -> (Self, Ctx) {
        let test = Self::new(database).await;
        let ctx = test.set_up().await;
        (test, ctx)
    }

    /// The look at the vault with which a server starts is over then: it must not meet a clock that the test sets.
    pub async fn set_up(&self) -> Ctx {
        let (code, _) = self.app.setup_code().expect("setup is required");
        let input = || SetupIn {
            code: code.clone(),
            username: Self::USERNAME.to_owned(),
            password: Secret::new(Self::PASSWORD.to_owned()),
            email: None,
        };
        let opened =
            crate::asked_again(async || cb_app::setup::complete(&self.app, self.meta(), input()).await);
        let opened = opened.await.expect("setup completes");
        let who = self.app.by_session(opened.cookie.expose()).await.expect("readable").expect("a session");
        self.looked().await;
        self.app.ctx(who.principal, self.meta())
    }

    async fn looked(&self) {
        let ctx = self.app.own_ctx(Principal::Cli);
        let began = Instant::now();
        while began.elapsed() < Duration::from_mins(1) {
            match cb_app::vault::status(&ctx).await {
                Ok(status) if status.looked_at.is_some() => return,
                // On a machine with too much to do the database may be busy.
                Ok(_) | Err(Error::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
            // A look that failed is repeated a minute later, by a clock that stands still here.
            if began.elapsed() > Duration::from_secs(10) {
                let _ = cb_app::vault::look_here(&self.app).await;
            }
        }
        panic!("the server did not look at the vault when it started");
    }

    pub fn meta(&self) -> RequestMeta {
        RequestMeta {
            request_id: (&OsEntropy as &dyn Entropy).uuid(cb_core::Clock::now(&*self.clock)).into(),
            ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
            user_agent: "test".to_owned(),
            devices: cb_app::auth::Devices::default(),
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    pub fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    /// Another server on the same database, with a folder of its own and the same keys.
    pub async fn second(&self) -> App {
        let keys = ["vault-key", "audit-key", "jwt-secret"];
        self.server("second", &keys, |_| ()).await.expect("a second server opens")
    }

    /// One more server on the same database, in the folder `name`, which is made if it is not there, with only these files of the
    /// first server's folder.
    pub async fn server(
        &self,
        name: &str,
        files: &[&str],
        change: impl FnOnce(&mut Config),
    ) -> Result<App, StartError> {
        assert!(self.postgres.is_some(), "two servers need PostgreSQL");
        let mut config = self.config.clone();
        config.data_dir = self.dir.path().join(name);
        std::fs::create_dir_all(&config.data_dir).expect("a folder");
        for key in files {
            std::fs::copy(self.config.data_dir.join(key), config.data_dir.join(key)).expect("a key to copy");
        }
        change(&mut config);
        App::open(&config, self.clock.clone(), Arc::new(OsEntropy)).await
    }

    /// Closes the application and opens it again over the same data, as a restart does.
    pub async fn restart(self) -> Self {
        self.restart_with(|_| ()).await
    }

    /// The same with other settings.
    pub async fn restart_with(self, change: impl FnOnce(&mut Config)) -> Self {
        let Self { app, clock, mut config, postgres, engines, dir } = self;
        change(&mut config);
        app.close().await.expect("the application closes");
        let app = App::open(&config, clock.clone(), Arc::new(OsEntropy))
            .await
            .expect("the application opens again");
        Self { app, clock, config, postgres, engines, dir }
    }
}
