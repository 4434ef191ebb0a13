//! How fast three workers drain queued jobs that do nothing, and what an hour of steady load leaves behind, and how fast they are while a
//! transaction of another is open for ten minutes. Prints three lines.
//! `jobs URL`: a PostgreSQL of its own, which waits for its disk.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cb_app::App;
use cb_app::jobs::{self, Access, Job, Kind, Limits, Verdict, Work};
use cb_core::clock::SystemClock;
use cb_core::config::Config;
use cb_core::{OsEntropy, Permission, Result};
use cb_store::WriteTx;
use cb_store::entities::job;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend,
    EntityTrait as _, IntoActiveModel as _, PaginatorTrait as _, Statement,
};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

const WORKERS: usize = 3;
const JOBS: usize = 10_000;
/// An hour of fifty a second, by count.
const HOUR: usize = 180_000;
/// Ten minutes of the same.
const TEN_MINUTES: usize = 30_000;
const EACH: usize = 2_000;
/// So an hour passes in a minute, however fast this machine is: the dead rows between two looks of autovacuum count.
const TURN: Duration = Duration::from_millis(667);
const NAME: &str = "nothing";

#[derive(Default)]
struct Nothing {
    runs: Mutex<HashMap<Uuid, u32>>,
    done: AtomicUsize,
}

impl Kind for Nothing {
    fn name(&self) -> &'static str {
        NAME
    }

    fn limits(&self) -> Limits {
        Limits { at_once: 100, lease: Duration::from_secs(30), attempts: 3, waiting: 1_000_000 }
    }

    fn access(&self) -> Access {
        Access { read: Permission::MetricsRead, write: Permission::SettingsWrite }
    }

    fn run(&self, _: App, job: Job) -> Work<'static, Verdict> {
        *self.runs.lock().expect("lock").entry(job.id).or_default() += 1;
        self.done.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Verdict::Done })
    }

    fn died<'a>(&'a self, _: &'a App, _: &'a Job, _: &'a str) -> Work<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn retried<'a>(&'a self, _: &'a mut WriteTx, _: Uuid) -> Work<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
async fn main() {
    let Some(url) = std::env::args().nth(1).filter(|arg| arg.starts_with("postgres://")) else {
        println!("usage: jobs postgres://…");
        return;
    };
    let folder = TempDir::with_prefix("cb-bench-").expect("a folder");
    let mut apps = Vec::new();
    for n in 0..WORKERS {
        apps.push(open(folder.path(), n, &url).await);
    }
    let db = Database::connect(&url).await.expect("connects");
    fill(&db, &apps[0], JOBS).await;
    let kind = Arc::new(Nothing::default());
    let began = Instant::now();
    for app in &apps {
        tokio::spawn(jobs::run(app.clone(), vec![kind.clone()]));
    }
    fewer_than(&db, 1).await;
    let drained = rate(JOBS, began);
    let twice = || kind.runs.lock().expect("lock").values().filter(|runs| **runs > 1).count();
    println!("{JOBS} jobs by {WORKERS} workers: {drained:.0} a second, {} twice", twice());

    let (mut most_dead, mut most_size) = (0, 0);
    for _ in 0..HOUR / EACH {
        // Before the last ones have gone: workers that find nothing sleep.
        tokio::join!(tokio::time::sleep(TURN), fewer_than(&db, EACH / 2));
        fill(&db, &apps[0], EACH).await;
        let (dead, size) = bloat(&db).await;
        (most_dead, most_size) = (most_dead.max(dead), most_size.max(size));
    }
    println!("{HOUR} jobs in turns of {EACH}: at most {most_dead} dead rows, {} kB", most_size / 1024);

    // Nothing that it may still see can be cleared away.
    let mut one = ConnectOptions::new(&url);
    one.max_connections(1);
    let other = Database::connect(one).await.expect("connects");
    for sql in ["BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM jobs"] {
        other.execute_unprepared(sql).await.expect("begun");
    }
    for _ in 0..TEN_MINUTES / EACH {
        fewer_than(&db, EACH / 2).await;
        fill(&db, &apps[0], EACH).await;
    }
    fewer_than(&db, 1).await;
    let (dead, _) = bloat(&db).await;
    let began = Instant::now();
    fill(&db, &apps[0], EACH).await;
    fewer_than(&db, 1).await;
    println!(
        "beside an open transaction: {:.0} a second, {dead} dead rows, {} twice",
        rate(EACH, began),
        twice()
    );
    other.execute_unprepared("ROLLBACK").await.expect("ended");
    for app in apps {
        app.close().await.expect("closes");
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

async fn open(folder: &Path, n: usize, url: &str) -> App {
    let data = folder.join(n.to_string());
    if n > 0 {
        std::fs::create_dir(&data).expect("a folder");
        for key in ["vault-key", "audit-key", "jwt-secret"] {
            std::fs::copy(folder.join("0").join(key), data.join(key)).expect("a key to copy");
        }
    }
    let vars = [("CB_DATA_DIR", data.display().to_string()), ("CB_DB_URL", url.to_owned())];
    let vars = vars.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("a valid configuration");
    App::open(&config, Arc::new(SystemClock), Arc::new(OsEntropy)).await.expect("opens")
}

async fn fill(db: &DatabaseConnection, app: &App, count: usize) {
    let now = app.now();
    let row = || job::Model {
        id: app.new_id(),
        kind: NAME.to_owned(),
        dedup_key: None,
        payload: json!({}),
        state: "queued".to_owned(),
        attempts: 0,
        lease_owner: None,
        lease_until: None,
        last_error: None,
        created_at: now,
        finished_at: None,
        priority: 0,
        not_before: now,
        fence: 0,
        place: None,
    };
    for _ in 0..count / 1_000 {
        let rows = (0..1_000).map(|_| row().into_active_model().reset_all());
        job::Entity::insert_many(rows).exec_without_returning(db).await.expect("written");
    }
}

async fn fewer_than(db: &DatabaseConnection, count: usize) {
    while job::Entity::find().count(db).await.expect("counted") >= count as u64 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn bloat(db: &DatabaseConnection) -> (i64, i64) {
    let sql =
        "SELECT n_dead_tup, pg_total_relation_size('jobs') FROM pg_stat_user_tables WHERE relname = 'jobs'";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    let row = row.expect("read").expect("a table");
    (row.try_get_by_index(0).expect("a number"), row.try_get_by_index(1).expect("a number"))
}
