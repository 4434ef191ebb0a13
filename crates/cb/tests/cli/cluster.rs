//! The cluster of docs/operations.md, started with exactly the settings that stand there. Only hosts, ports, passwords and folders are others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cb_store::sea_orm::{
    self, ConnectOptions, ConnectionTrait as _, DatabaseConnection, DbBackend, Statement,
};
use cb_testkit::{Nats, Postgres, Redis};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::site::{CODE, Server, Site, TOKEN, cb, free_port};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");

/// The section *A cluster* of the document.
fn section() -> String {
    let text = std::fs::read_to_string(DOCUMENT).expect("the document");
    let behind = text.split("\n## A cluster\n").nth(1).expect("the section");
    behind.split("\n## ").next().expect("its end").to_owned()
}

/// Its block of code that begins with `first`.
fn block(first: &str) -> String {
    let section = section();
    let mut blocks = section.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    let found = blocks.find(|(_, code)| code.starts_with(first));
    found.unwrap_or_else(|| panic!("no block begins with {first}")).1.to_owned()
}

/// The number that the section gives for `name`.
fn documented(name: &str) -> u32 {
    let digits = section();
    let digits = digits.split(name).nth(1).expect(name);
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().expect(name)
}

struct Cluster {
    postgres: Postgres,
    redis: Redis,
    nats: Nats,
    dir: tempfile::TempDir,
}

impl Cluster {
    /// The three servers, and the secrets as the document makes them.
    fn new() -> Self {
        let new = Self {
            postgres: Postgres::with(documented("max_connections = ")),
            redis: Redis::start(),
            nats: Nats::start(),
            dir: tempfile::tempdir().expect("a folder"),
        };
        let script = new.here(&block("install -d"));
        let script = script.replace("-o circuit-breaker ", "").replace("chown circuit-breaker *", "");
        let made = Command::new("sh").args(["-euc", &script]).output().expect("sh runs");
        assert!(made.status.success(), "{script}\n{}", String::from_utf8_lossy(&made.stderr));
        // The tests know these two.
        for (name, text) in [("api-token", TOKEN), ("setup-code", CODE)] {
            std::fs::write(new.etc().join(name), text).expect("written");
        }
        new
    }

    fn etc(&self) -> PathBuf {
        self.dir.path().join("etc")
    }

    fn data(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A text of the document with the hosts, ports, passwords and folders of this test.
    fn here(&self, text: &str) -> String {
        // postgres://cb:PASSWORD@HOST:PORT/NAME
        let (password, place) = self
            .postgres
            .url()
            .strip_prefix("postgres://cb:")
            .and_then(|u| u.split_once('@'))
            .expect("a URL");
        let others = [
            ("DB-PASSWORD", password.to_owned()),
            ("db.internal:5432/circuit_breaker", place.to_owned()),
            ("REDIS-PASSWORD", self.redis.password().to_owned()),
            ("redis.internal:6379", format!("127.0.0.1:{}", self.redis.port())),
            ("NATS-PASSWORD", self.nats.password().to_owned()),
            ("nats.internal:4222", format!("127.0.0.1:{}", self.nats.port())),
            ("/etc/circuit-breaker", self.etc().display().to_string()),
        ];
        others.into_iter().fold(text.to_owned(), |text, (theirs, ours)| text.replace(theirs, &ours))
    }

    /// The settings of a server: those of all, and those of its role.
    fn settings(&self, name: &str, role: &str, port: u16) -> BTreeMap<String, String> {
        let mut text = block("# /etc/circuit-breaker/cluster.env");
        if !role.is_empty() {
            text += &block(&format!("# /etc/circuit-breaker/{role}.env"));
        }
        let text = self
            .here(&text)
            .replace("/var/lib/circuit-breaker", &self.data(name).display().to_string())
            .replace("[::]:8443", &format!("127.0.0.1:{port}"))
            .replace("[::]:8080", "127.0.0.1:0");
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines
            .map(|line| line.split_once('=').expect("a setting"))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    }

    fn cb(&self, arguments: &[&str], settings: &BTreeMap<String, String>) -> Command {
        let mut command = cb();
        command.args(arguments).env_clear().envs(settings).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn says(&self, arguments: &[&str], settings: &BTreeMap<String, String>) -> Output {
        let mut command = self.cb(arguments, settings);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("runs")
    }

    fn serve(&self, settings: &BTreeMap<String, String>) -> Server {
        Server::start(&mut self.cb(&["serve"], settings))
    }

    /// A server that does not start says why in one line.
    fn refused(&self, settings: &BTreeMap<String, String>) -> String {
        let said = self.says(&["serve"], settings);
        let text = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        assert_eq!(said.status.code(), Some(1), "{text}");
        text.lines().last().unwrap_or_default().to_owned()
    }
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The TCP sockets of the process, by what the kernel says: a line of fields for each.
fn sockets(server: &Server) -> Vec<Vec<String>> {
    let own: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", server.id()))
        .expect("it runs")
        .flatten()
        .filter_map(|fd| {
            Some(
                std::fs::read_link(fd.path())
                    .ok()?
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .collect();
    assert!(!own.is_empty(), "it has connections");
    // https://www.kernel.org/doc/html/latest/networking/proc_net_tcp.html: the tenth field is the inode.
    let text = ["/proc/net/tcp", "/proc/net/tcp6"].map(|f| std::fs::read_to_string(f).unwrap_or_default());
    let lines = text.iter().flat_map(|text| text.lines());
    let fields = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    fields.filter(|f| f.get(9).is_some_and(|inode| own.contains(inode))).collect()
}

/// Whether the process listens anywhere: 0A is LISTEN.
fn listens(server: &Server) -> bool {
    sockets(server).iter().any(|f| f[3] == "0A")
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..900 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not in 90 seconds: {what}");
}

async fn status(site: &Site, scan: &Value) -> String {
    let scan = site.get(&format!("/scans/{}", scan["id"].as_str().expect("an id"))).await;
    scan["status"].as_str().expect("a status").to_owned()
}

/// A scan of addresses that nobody has; it takes a moment.
async fn scan(site: &Site) -> Value {
    let input = json!({ "targets": ["10.255.255.248/30"], "probes": ["tcp_ping"] });
    site.done("/scans", input).await
}

/// The same with everything, which takes longer.
async fn whole_scan(site: &Site) -> Value {
    site.done("/scans", json!({ "targets": ["10.255.255.248/30"] })).await
}

/// One by the workers of another site.
async fn scan_there(site: &Site) -> Value {
    let input = json!({ "targets": ["10.255.255.248/30"], "probes": ["tcp_ping"], "site": "cellar" });
    site.done("/scans", input).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_cluster_runs_with_exactly_the_documented_settings() {
    let cluster = Cluster::new();
    let migrate = cluster.settings("migrate", "", 0);
    let said = out(&cluster.says(&["migrate"], &migrate));
    assert!(said.starts_with("The database was created with the schema m00"), "{said}");
    let said = out(&cluster.says(&["migrate"], &migrate));
    assert!(
        said.starts_with("The database already has the schema") && said.contains("nothing was changed"),
        "{said}"
    );

    let (mut apis, mut sites) = (Vec::new(), Vec::new());
    for name in ["api-1", "api-2", "api-3"] {
        let port = free_port();
        apis.push(cluster.serve(&cluster.settings(name, "api", port)));
        sites.push(Site::meet(&cluster.data(name), port).await);
    }
    sites[0].set_up().await;
    // No worker runs yet, and nobody else takes it.
    let waiting = scan(&sites[1]).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(status(&sites[2], &waiting).await, "queued", "a server with the role api does not scan");

    let start = |name: &str| cluster.serve(&cluster.settings(name, "worker", 0));
    let names = ["worker-1", "worker-2", "worker-3"];
    let workers: Vec<_> = names.iter().map(|name| start(name)).collect();
    assert!(sites[0].asset("of api-1").await);
    for site in &sites {
        assert!(site.assets().await.contains("of api-1"));
    }
    until("a worker has scanned", async || status(&sites[2], &waiting).await == "completed").await;
    until("periodic work was done", async || {
        let works = sites[0].get("/operations/periodic").await;
        let one = |work: &&Value| work["who"] == "one";
        works["items"].as_array().expect("a list").iter().filter(one).all(|work| !work["ended_at"].is_null())
    })
    .await;
    for (worker, name) in workers.iter().zip(names) {
        assert!(!listens(worker), "a worker opens no port");
        assert_eq!(out(&cluster.says(&["healthcheck"], &cluster.settings(name, "worker", 0))), "ok");
    }
    assert!(listens(&apis[0]));

    let said = out(&cluster.says(&["doctor"], &cluster.settings("worker-1", "worker", 0)));
    for part in [
        "ok      role: worker",
        "ok      shared secrets: the vault key",
        "ok      servers: 6 run: ",
        "ok      Redis: ",
        "ok      NATS: ",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }

    // All workers stop in the middle of a scan and start again.
    let second = whole_scan(&sites[0]).await;
    until("it was begun", async || status(&sites[1], &second).await != "queued").await;
    for worker in workers {
        assert!(worker.ended_at_term(Duration::from_secs(15)).await.success());
    }
    let left = cluster.says(&["healthcheck"], &cluster.settings("worker-1", "worker", 0));
    assert_eq!(left.status.code(), Some(1), "a worker that has stopped is not seen");
    let workers: Vec<_> = names.iter().map(|name| start(name)).collect();
    until("nothing of it was lost", async || status(&sites[2], &second).await == "completed").await;

    for server in workers.into_iter().chain(apis) {
        assert!(server.ended_at_term(Duration::from_secs(15)).await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_of_a_site_is_done_by_its_workers_and_by_nobody_else() {
    let cluster = Cluster::new();
    let port = free_port();
    let api = cluster.serve(&cluster.settings("api-1", "api", port));
    let site = Site::meet(&cluster.data("api-1"), port).await;
    site.set_up().await;
    let input = json!({ "targets": ["10.255.255.248/30"], "site": "cellar" });
    let refused = site.ask("POST", "/scans", Some(input)).await.expect("an answer");
    let why = String::from_utf8_lossy(refused.body()).into_owned();
    assert!(refused.status() == 422 && why.contains("No worker belongs to a site"), "{why}");

    let mut there = cluster.settings("cellar-1", "worker", 0);
    there.insert("CB_SITE".to_owned(), "cellar".to_owned());
    let cellar = cluster.serve(&there);
    until("its worker is known", async || site.get("/discovery").await["sites"][0]["workers"] == 1).await;
    let discovery = site.get("/discovery").await;
    assert_eq!((&discovery["sites"][0]["name"], &discovery["workers"]), (&json!("cellar"), &json!(0)));
    let able = discovery["sites"][0]["capabilities"].as_array().expect("a list").len();
    assert_eq!(able, 3, "what the worker can do, told by a server that does not scan");
    let (here, its) = (scan(&site).await, scan_there(&site).await);
    until("its scan is done", async || status(&site, &its).await == "completed").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(status(&site, &here).await, "queued", "the main site has no worker");

    assert!(cellar.ended_at_term(Duration::from_secs(15)).await.success());
    let main = cluster.serve(&cluster.settings("worker-1", "worker", 0));
    until("the scan of the main site is done", async || status(&site, &here).await == "completed").await;
    let input = json!({ "targets": ["10.255.255.248/30"], "site": "celler" });
    let refused = site.ask("POST", "/scans", Some(input)).await.expect("an answer");
    assert_eq!(refused.status(), 422);
    // Its worker has stopped, and the site is one all the same.
    let its = scan_there(&site).await;
    let said = cluster.says(&["doctor"], &cluster.settings("api-1", "api", 0));
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("weak    sites: 1 scan waits for a worker of the site cellar"), "{said}");
    let cellar = cluster.serve(&there);
    until("its worker is back", async || site.get("/discovery").await["sites"][0]["workers"] == 1).await;
    let servers = site.get("/operations").await;
    let sites: Vec<_> = servers["servers"].as_array().expect("a list").iter().map(|s| &s["site"]).collect();
    assert_eq!(sites.iter().filter(|site| ***site == "cellar").count(), 1, "{sites:?}");
    until("its scan is done", async || status(&site, &its).await == "completed").await;
    for server in [cellar, main, api] {
        assert!(server.ended_at_term(Duration::from_secs(15)).await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lacks_a_shared_secret_or_has_another_says_which() {
    let cluster = Cluster::new();
    let port = free_port();
    let doctor = |settings: &BTreeMap<String, String>| {
        String::from_utf8_lossy(&cluster.says(&["doctor"], settings).stdout).into_owned()
    };
    let own = cluster.settings("api-1", "api", port);
    std::fs::create_dir(cluster.data("api-1")).expect("made");
    let said = doctor(&own);
    assert!(
        said.contains("broken  database: The database is empty: no server has used it yet. Start a server"),
        "{said}"
    );
    let first = cluster.serve(&own);
    Site::meet(&cluster.data("api-1"), port).await;
    let as_owner = sea_orm::Database::connect(cluster.postgres.url()).await.expect("connects");
    let set = |value: &str| format!("ALTER ROLE cb SET default_transaction_read_only = {value}");
    as_owner.execute_unprepared(&set("on")).await.expect("set");
    let said = doctor(&own);
    assert!(said.contains("broken  database: PostgreSQL permits only to read. If this database"), "{said}");
    as_owner.execute_unprepared(&set("off")).await.expect("set");
    let said = doctor(&own);
    assert!(!said.contains("broken"), "{said}");
    let with = |name: &str, change: &dyn Fn(&mut BTreeMap<String, String>)| {
        let mut settings = cluster.settings(name, "worker", 0);
        change(&mut settings);
        cluster.refused(&settings)
    };
    let other = |name: &str, text: &str| {
        let file = cluster.etc().join(name);
        std::fs::write(&file, text).expect("written");
        file.display().to_string()
    };
    let why = with("a", &|s| {
        s.insert("CB_JWT_SECRET_FILE".to_owned(), other("other-jwt", "Wq8nBd6HfJ3gTe5UQm7vXc2LpR9tYw4Z"));
    });
    assert!(why.contains("CB_JWT_SECRET: it is not the secret that the other servers"), "{why}");
    let mut settings = cluster.settings("api-1", "api", port);
    settings.insert("CB_JWT_SECRET_FILE".to_owned(), cluster.etc().join("other-jwt").display().to_string());
    let elsewhere = other("other-redis", "redis://:secret@127.0.0.1:9");
    settings.insert("CB_REDIS_URL_FILE".to_owned(), elsewhere);
    let said = doctor(&settings);
    assert!(said.contains("broken  shared secrets: CB_JWT_SECRET is not the JWT secret"), "{said}");
    assert!(said.contains("weak    Redis: Nothing listens") && !said.contains("secret@"), "{said}");
    let why = with("b", &|s| _ = s.remove("CB_JWT_SECRET_FILE"));
    assert!(why.contains("jwt-secret: this file does not exist and CB_JWT_SECRET is not set"), "{why}");
    let why = with("c", &|s| _ = s.remove("CB_VAULT_KEY_FILE"));
    assert!(why.contains("vault-key: this file does not exist"), "{why}");
    let why = with("d", &|s| {
        s.insert(
            "CB_VAULT_KEY_FILE".to_owned(),
            other("other-vault", "XX4fT0pLmqvR7sWkd2YhZ3bNcGjKeUoAiPzQxV6B5yE="),
        );
    });
    assert!(why.contains("CB_VAULT_KEY: it has the fingerprint"), "{why}");
    let why = with("e", &|s| _ = s.remove("CB_NATS_URL_FILE"));
    assert!(why.contains("CB_NATS_URL"), "{why}");
    let why = with("f", &|s| _ = s.remove("CB_DB_URL_FILE"));
    assert!(why.contains("CB_DB_URL"), "{why}");
    first.stop();
}

/// How many connections a server has to PostgreSQL, by the ports of its process and the sessions of PostgreSQL.
async fn connections(server: &Server, watch: &DatabaseConnection) -> usize {
    let own: Vec<i32> = sockets(server)
        .iter()
        .filter_map(|f| i32::from_str_radix(f[1].rsplit(':').next()?, 16).ok())
        .collect();
    let sessions = "SELECT client_port FROM pg_stat_activity WHERE application_name = 'circuit-breaker'";
    let sessions = watch.query_all_raw(Statement::from_string(DbBackend::Postgres, sessions)).await;
    let ports =
        sessions.expect("reads").into_iter().map(|row| row.try_get_by_index::<i32>(0).expect("a port"));
    ports.filter(|port| own.contains(port)).count()
}

/// Another session locks what a server needs until as many connections as it has wait for that. They stay open afterwards, so kind by
/// kind is enough.
#[tokio::test(flavor = "multi_thread")]
async fn no_server_has_more_connections_than_documented() {
    const MOST: usize = 19;
    // The lock of all audited writes; a table that is read; those that a worker asks for work.
    const LOCKS: [(&str, &str, &str, [usize; 2]); 3] = [
        ("SELECT pg_advisory_xact_lock(4836519251)", "POST", "/tags", [10, 0]),
        ("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE", "GET", "/assets", [MOST - 1, 0]),
        (
            "LOCK TABLE periodic_work, jobs, scans, deliveries IN ACCESS EXCLUSIVE MODE",
            "GET",
            "/assets",
            [0, 5],
        ),
    ];
    assert!(section().contains(&format!("room for {MOST} connections of each server")));
    let cluster = Cluster::new();
    let port = free_port();
    let api = cluster.serve(&cluster.settings("api-1", "api", port));
    let site = Site::meet(&cluster.data("api-1"), port).await;
    site.set_up().await;
    let worker = cluster.serve(&cluster.settings("worker-1", "worker", 0));
    for n in 0..40 {
        let hook = json!({ "name": format!("hook {n}"), "url": "https://10.255.255.249/", "events": ["asset.created"] });
        site.done("/webhooks", hook).await;
    }
    for n in 0..12 {
        site.done("/scans", json!({ "targets": [format!("10.255.{n}.248/30")] })).await;
    }
    let connect = async || {
        let mut one = ConnectOptions::new(cluster.postgres.url());
        sea_orm::Database::connect(one.max_connections(1).clone()).await.expect("connects")
    };
    let (watch, other) = (connect().await, connect().await);
    let mut most = [0, 0];
    let mut look = async || {
        for (most, server) in most.iter_mut().zip([&api, &worker]) {
            *most = connections(server, &watch).await.max(*most);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        most
    };
    let asking = async |method: &'static str, path: &'static str| {
        let (stop, mut lines) = (CancellationToken::new(), JoinSet::new());
        for line in 0..16 {
            let (site, stop) = (site.clone(), stop.clone());
            lines.spawn(async move {
                let mut connection = site.connect().await;
                for n in 0.. {
                    let body = json!({ "name": format!("{line} {n}"), "color": "#d97706" }).to_string();
                    connection.ask(method, path, if method == "GET" { "" } else { &body }).await;
                    if stop.is_cancelled() {
                        break;
                    }
                }
            });
        }
        (stop, lines)
    };
    for (lock, method, path, wanted) in LOCKS {
        let began = Instant::now();
        // PostgreSQL may end it for a deadlock.
        while let Err(error) = other.execute_unprepared(&format!("BEGIN; {lock}")).await {
            assert!(began.elapsed() < Duration::from_mins(1), "{lock}: {error}");
            other.execute_unprepared("ROLLBACK").await.expect("ended");
        }
        let (stop, lines) = asking(method, path).await;
        loop {
            let seen = look().await;
            if seen.iter().zip(wanted).all(|(seen, wanted)| *seen >= wanted) {
                break;
            }
            assert!(began.elapsed() < Duration::from_mins(2), "{lock}: api and worker have {seen:?}");
        }
        other.execute_unprepared("COMMIT").await.expect("free");
        stop.cancel();
        lines.join_all().await;
    }
    let (stop, lines) = asking("GET", "/assets").await;
    let (began, mut seen) = (Instant::now(), [0, 0]);
    while began.elapsed() < Duration::from_secs(5) {
        seen = look().await;
    }
    stop.cancel();
    lines.join_all().await;
    assert!(seen.iter().all(|seen| *seen <= MOST), "api and worker had {seen:?}");
    for server in [worker, api] {
        assert!(server.ended_at_term(Duration::from_secs(15)).await.success());
    }
}
