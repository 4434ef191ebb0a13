//! What the page *Operations* says of the servers of a cluster: who they are, and what is degraded.

use std::time::{Duration, Instant};

use cb_app::operations::{self, Code};
use cb_app::reconcile::Name;
use cb_app::scans::{self, ScanIn};
use cb_app::{App, Ctx, Heard, metrics, sites};
use cb_core::config::{Config, ServerRole};
use cb_core::inventory::ScanStatus;
use cb_core::{Event, Principal, Secret};
use cb_store::sea_orm::{ConnectOptions, ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::{Database, TestApp};
use uuid::Uuid;

use crate::cluster::{sql, until};

/// Without what a machine with too much to do may bring about: a link of this server that is lost for a moment.
async fn degraded(ctx: &Ctx) -> Vec<operations::Degraded> {
    let mut all = operations::get(ctx).await.expect("told").degraded;
    all.retain(|one| !one.what.starts_with("This server cannot use"));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_is_degraded_and_the_server_stays_ready() {
    let (mut test, ctx) = TestApp::clustered().await;
    let codes = async |ctx: &Ctx| -> Vec<Code> {
        operations::get(ctx).await.expect("told").degraded.iter().map(|one| one.code).collect()
    };
    until("everything works", async || {
        codes(&ctx).await.is_empty()
            && scraped(&ctx, "cb_fabric_up{link=\"redis\"} 1").await
            && scraped(&ctx, "cb_fabric_local_limits 0").await
    })
    .await;
    test.engines().0.kill();
    test.engines().1.kill();
    until("both are degraded", async || codes(&ctx).await == [Code::Redis, Code::Nats]).await;
    for one in operations::get(&ctx).await.expect("told").degraded {
        assert!(one.since.is_some() && one.why.is_some_and(|why| why.ends_with('.')), "{:?}", one.code);
    }
    for line in
        ["cb_fabric_up{link=\"redis\"} 0", "cb_fabric_up{link=\"nats\"} 0", "cb_fabric_local_limits 1"]
    {
        assert!(scraped(&ctx, line).await, "{line}");
    }
    assert!(test.app.is_ready(), "requests are still answered here");
    test.engines().0.start_again();
    test.engines().1.start_again();
    until("everything works again", async || codes(&ctx).await.is_empty()).await;
}

async fn scraped(ctx: &Ctx, line: &str) -> bool {
    let page = metrics::page(ctx).await.expect("told").into_text();
    // Whichever server it is of.
    let without_server = |own: &str| match own.split_once("server=\"") {
        Some((before, after)) => format!("{before}{}", after.split_once("\",").expect("more labels").1),
        None => own.to_owned(),
    };
    page.lines().any(|own| without_server(own) == line)
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_which_none_works_are_degraded_until_a_worker_starts() {
    let (test, _ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let api = test.server("api", &all, |config| config.role = ServerRole::Api).await.expect("opens");
    let ctx = api.own_ctx(Principal::Cli);
    let codes = async || -> Vec<Code> { degraded(&ctx).await.iter().map(|one| one.code).collect() };
    until("everything works", async || codes().await.is_empty()).await;
    test.app.clone().close().await.expect("closes");
    assert_eq!(codes().await, [Code::NoWorker], "the only worker left in order");
    let as_worker = |config: &mut Config| config.role = ServerRole::Worker;
    let at_site = |config: &mut Config| {
        as_worker(config);
        config.site = Some("cellar".to_owned());
    };
    let cellar = test.server("cellar", &all, at_site).await.expect("opens");
    let told = operations::get(&ctx).await.expect("told").degraded;
    assert!(told.iter().any(|one| one.what == "No worker of the main site runs."), "{told:?}");
    let worker = test.server("worker", &all, as_worker).await.expect("opens");
    until("everything works", async || codes().await.is_empty()).await;
    for app in [worker, cellar] {
        app.close().await.expect("closes");
    }
    drop(ctx);
    api.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_server_is_listed_with_its_role_until_it_stops() {
    let (test, ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let api = test.server("api", &all, |config| config.role = ServerRole::Api).await.expect("opens");
    let worker = test.server("worker", &all, |config| config.role = ServerRole::Worker).await.expect("opens");
    let list = async || operations::get(&ctx).await.expect("told").servers;
    let there = list().await;
    let roles: Vec<_> = there.iter().map(|one| one.role).collect();
    assert_eq!(
        roles,
        [operations::ServerRole::All, operations::ServerRole::Api, operations::ServerRole::Worker],
        "{there:?}"
    );
    let whole =
        |one: &operations::ServerOut| one.version == env!("CARGO_PKG_VERSION") && one.memory_bytes.is_some();
    assert!(there.iter().all(whole), "{there:?}");
    for app in [api, worker] {
        app.close().await.expect("closes");
    }
    assert_eq!(list().await.len(), 1);
}

/// A worker opens no port: what it counts and what it has lost is told by the servers that do.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_shows_what_the_others_count_and_what_they_have_lost() {
    const WORKER: &str = "019ab8c4-0000-7000-8000-000000000001";
    let (mut test, ctx) = TestApp::clustered().await;
    let told = r#"{"run":"w/1","scans_ended":{"completed":3,"postponed":9},"delivery_attempts":{"given_up":2},
        "links":{"redis":{"up":false,"for_seconds":60},"nats":{"up":true,"for_seconds":60}},
        "failing":{"vault_root_key":"The key is another one","dreaming":"It woke up"},"operator_fingerprint":"of theirs"}"#;
    let row = |id: &str, run: &str| {
        format!(
            "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at, told)
             VALUES ('{id}', '{run}', 'worker', '0', 'm0024_server_told', 'barn', now(), now(), '{told}')"
        )
    };
    sql(&test, &row(WORKER, "w/1")).await;
    // What an earlier run has left, of a version that tells nothing.
    sql(&test, &row("019ab8c4-0000-7000-8000-000000000002", "w/2")).await;
    sql(&test, &row("a name that somebody has typed", "w/1")).await;
    let page = metrics::page(&ctx).await.expect("told").into_text();
    for line in [
        format!("cb_scans_ended_total{{server=\"{WORKER}\",outcome=\"completed\"}} 3\n"),
        format!("cb_scans_ended_total{{server=\"{WORKER}\",outcome=\"failed\"}} 0\n"),
        format!("cb_delivery_attempts_total{{server=\"{WORKER}\",outcome=\"given_up\"}} 2\n"),
        format!("cb_fabric_up{{server=\"{WORKER}\",link=\"redis\"}} 0\n"),
        format!("cb_fabric_up{{server=\"{WORKER}\",link=\"nats\"}} 1\n"),
        "cb_servers{role=\"worker\"} 3\n".to_owned(),
    ] {
        assert!(page.contains(&line), "{line} in {page}");
    }
    for word in ["postponed", "somebody", "000000000002"] {
        assert!(!page.contains(word), "{word} in {page}");
    }
    let all = degraded(&ctx).await;
    let find = |what: &str| all.iter().find(|one| one.what == what);
    let lost =
        find("Other servers cannot use Redis: barn (worker, …00000001, …as typed).").expect("degraded");
    assert!(lost.code == Code::Redis && lost.since.is_some());
    let failing = find("Periodic work fails on barn (worker, …00000001, …as typed).").expect("degraded");
    assert_eq!(
        (failing.why.as_deref(), failing.work),
        (Some("The key is another one"), Some(Name::VaultRootKey))
    );
    assert_eq!(
        all.len(),
        2,
        "a worker needs no token, and nobody knows the work of a later version: {all:?}"
    );
    test.engines().0.kill();
    let together = "This server cannot use Redis, nor can others: barn (worker, …00000001, …as typed).";
    until("one cause is told once", async || {
        let all = operations::get(&ctx).await.expect("told").degraded;
        let of_redis = all.iter().filter(|one| one.code == Code::Redis).map(|one| one.what.as_str());
        of_redis.eq([together])
    })
    .await;
    sql(&test, "UPDATE servers SET role = 'api' WHERE host = 'barn'").await;
    let all = degraded(&ctx).await;
    let token = all.iter().find(|one| one.code == Code::ApiToken).expect("degraded");
    assert!(
        token.why.as_ref().is_some_and(|why| why.ends_with("that of barn (api, …00000001, …as typed).")),
        "{token:?}"
    );
    // Killed.
    sql(&test, "UPDATE servers SET seen_at = now() - interval '31 seconds' WHERE host = 'barn'").await;
    let all = degraded(&ctx).await;
    let codes: Vec<_> = all.iter().map(|one| one.code).collect();
    assert_eq!(codes, [Code::ServerLost], "{all:?}");
}

/// A part that cannot be read is not taken for one that is well, and hides no other.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_and_takes_nothing_else_with_it() {
    let (test, ctx) = TestApp::clustered().await;
    let url = test.config().db_url.as_ref().expect("PostgreSQL").expose();
    let mut one = ConnectOptions::new(url);
    one.max_connections(1);
    let other = cb_store::sea_orm::Database::connect(one).await.expect("connects");
    for sql in ["BEGIN", "LOCK TABLE periodic_work IN ACCESS EXCLUSIVE MODE"] {
        other.execute_unprepared(sql).await.expect("locked");
    }
    let told = operations::get(&ctx).await.expect("told");
    let locked = told.degraded.iter().find(|one| one.code == Code::ForeignTransaction).expect("degraded");
    assert_eq!(locked.what, "Another program has locked tables of the database: periodic_work.");
    let unread = told.degraded.iter().find(|one| one.code == Code::Unread).expect("degraded");
    assert!(unread.why.as_ref().is_some_and(|why| why.ends_with('.')), "{unread:?}");
    assert_eq!(told.servers.len(), 1, "that is read");
    let page = metrics::page(&ctx).await.expect("told").into_text();
    for line in
        ["cb_metrics_source_up{source=\"periodic\"} 0\n", "cb_metrics_source_up{source=\"deliveries\"} 1\n"]
    {
        assert!(page.contains(line), "{line} in {page}");
    }
    other.execute_unprepared("ROLLBACK").await.expect("released");
    let gone = [Code::Unread, Code::ForeignTransaction];
    assert!(!operations::get(&ctx).await.expect("told").degraded.iter().any(|one| gone.contains(&one.code)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_id_another_one_has_says_so() {
    let (test, ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret", "server-id"];
    // One that was killed long ago is forgotten with the next sign of life.
    sql(
        &test,
        "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at)
         VALUES ('long-gone', 'long-gone/1', 'worker', '0', 'm0022_sites', 'far', now(), now() - interval '61 minutes')",
    )
    .await;
    let twin = test.server("twin", &all, |_| ()).await.expect("opens");
    let has_twin = async || {
        operations::get(&ctx).await.expect("told").degraded.iter().any(|one| one.code == Code::SameServerId)
    };
    until("the first one says so", has_twin).await;
    // Whoever is asked, the first one may be a worker, which opens no port.
    let other = test.second().await;
    let asked = other.own_ctx(Principal::Cli);
    let told = operations::get(&asked).await.expect("told").degraded;
    assert!(told.iter().any(|one| one.code == Code::SameServerId), "{told:?}");
    assert_eq!(other.around().await.expect("told").same_id.len(), 1);
    drop(asked);
    other.close().await.expect("closes");
    twin.close().await.expect("closes");
    until("it is the only one", async || !has_twin().await).await;
    let raw = crate::write_path::raw(&test).await;
    let gone = Statement::from_string(DbBackend::Postgres, "SELECT 1 FROM servers WHERE id = 'long-gone'");
    assert!(raw.query_one_raw(gone).await.expect("read").is_none());
}

/// Started again at once, it finds a row of its own that looks alive.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_sqlite_that_was_killed_is_no_other_server() {
    let (test, ctx) = TestApp::ready(Database::Sqlite).await;
    let raw = crate::write_path::raw(&test).await;
    let own = async || {
        let asked =
            Statement::from_string(DbBackend::Sqlite, "SELECT 1 FROM servers WHERE run <> 'killed/1'");
        raw.query_one_raw(asked).await.expect("read").is_some()
    };
    until("it is there", own).await;
    sql(&test, "UPDATE servers SET run = 'killed/1'").await;
    until("the row is its own again", async || {
        let told = operations::get(&ctx).await.expect("told").degraded;
        assert!(!told.iter().any(|one| one.code == Code::SameServerId), "{told:?}");
        own().await
    })
    .await;
}

/// A site does not disappear with its last worker while its scans wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_scans_wait_stays() {
    let (test, ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let at_site = |config: &mut Config| {
        config.role = ServerRole::Worker;
        config.site = Some("cellar".to_owned());
    };
    let scan = |target: &str| ScanIn {
        targets: vec![target.to_owned()],
        probes: Vec::new(),
        site: Some("cellar".to_owned()),
        dry_run: false,
    };
    assert!(scans::start(&ctx, scan("10.9.0.1")).await.is_err(), "nobody knows this site");
    let cellar = test.server("cellar", &all, at_site).await.expect("opens");
    sql(
        &test,
        "INSERT INTO scans (id, job_id, targets, probes, status, addresses_total, addresses_done, hosts_found,
             findings_new, assets_seen, limitations, requested_by, cancel_requested, created_at, site)
         VALUES ('019ab8c4-0000-7000-8000-000000000001', '019ab8c4-0000-7000-8000-000000000002', '[]', '[]', 'queued',
             0, 0, 0, 0, 0, '[]', 'maria', false, now(), 'cellar')",
    )
    .await;
    cellar.close().await.expect("closes");
    let sites = sites::discovery(&ctx).await.expect("told").sites;
    assert_eq!(
        sites.iter().map(|site| (site.name.as_str(), site.workers)).collect::<Vec<_>>(),
        [("cellar", 0)]
    );
    scans::start(&ctx, scan("10.9.0.1")).await.expect("it waits too");
    let all = degraded(&ctx).await;
    let idle: Vec<_> = all.iter().map(|one| (one.code, one.means.as_str())).collect();
    assert_eq!(idle, [(Code::NoWorker, "2 scans of this site wait until one runs.")]);
    assert!(scraped(&ctx, "cb_jobs{kind=\"scan\",state=\"waiting\"} 1").await, "one of them has a job");
    test.clock.advance(chrono::TimeDelta::seconds(7));
    let page = metrics::page(&ctx).await.expect("told").into_text();
    let age = page.lines().find_map(|line| line.strip_prefix("cb_jobs_due_age_seconds{kind=\"scan\"} "));
    let age: u64 = age.expect("a line").parse().expect("a number");
    assert!((7..60).contains(&age), "{age}");
}

/// Its site has no other worker, so any server notes that it is over with this one.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_whose_worker_was_killed_waits() {
    let (test, ctx) = TestApp::clustered().await;
    let mut heard = test.app.listen();
    // Both at once, as a server makes them.
    sql(
        &test,
        "INSERT INTO jobs (id, kind, payload, state, attempts, lease_owner, lease_until, created_at, priority,
             not_before, fence, place)
         VALUES ('019ab8c4-0000-7000-8000-000000000002', 'scan', '{}', 'running', 1, 'gone/1',
             now() - interval '1 minute', now(), 0, now(), 1, 'cellar');
         INSERT INTO scans (id, job_id, targets, probes, status, phase, addresses_total, addresses_done, hosts_found,
             findings_new, assets_seen, limitations, requested_by, cancel_requested, created_at, site)
         VALUES ('019ab8c4-0000-7000-8000-000000000001', '019ab8c4-0000-7000-8000-000000000002', '[]', '[]', 'running',
             'sweep', 0, 0, 0, 0, 0, '[]', 'maria', false, now(), 'cellar')",
    )
    .await;
    let id = Uuid::from_u128(0x019a_b8c4_0000_7000_8000_0000_0000_0001).into();
    until("it waits", async || {
        let scan = scans::get(&ctx, id).await.expect("there");
        (scan.status, scan.phase) == (ScanStatus::Queued, None)
    })
    .await;
    until(
        "its change was told",
        async || matches!(heard.hear().await, Heard::Event(Event::ScanChanged { id: told }) if told == id),
    )
    .await;
}

/// It is told with the worker's next sign of life.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_redis_is_degraded_on_the_other_servers() {
    let (test, ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let alone = |config: &mut Config| {
        config.role = ServerRole::Worker;
        let urls = config.cluster.as_mut().expect("a cluster");
        urls.redis = Secret::new("redis://:secret@127.0.0.1:9".to_owned());
    };
    let worker = test.server("worker", &all, alone).await.expect("opens");
    // A link that has just been begun is not lost yet.
    test.clock.advance(chrono::TimeDelta::seconds(10));
    until("the worker has lost Redis", async || {
        let degraded = operations::get(&ctx).await.expect("told").degraded;
        degraded.iter().any(|one| one.code == Code::Redis && one.what.ends_with("(worker)."))
    })
    .await;
    worker.close().await.expect("closes");
    let degraded = degraded(&ctx).await;
    assert!(!degraded.iter().any(|one| one.code == Code::Redis), "{degraded:?}");
}

/// Each of its links is up, and nobody hears it.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_use_different_redis_and_nats_say_so() {
    let (test, ctx) = TestApp::clustered().await;
    let (redis, nats) = (cb_testkit::Redis::start(), cb_testkit::Nats::start());
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let same = test.server("same", &all, |_| ()).await.expect("opens");
    let elsewhere = test.server("elsewhere", &all, |config| {
        config.role = ServerRole::Worker;
        let urls = config.cluster.as_mut().expect("a cluster");
        urls.redis = Secret::new(redis.url().to_owned());
        urls.nats = Secret::new(nats.url().to_owned());
    });
    let elsewhere = elsewhere.await.expect("opens");
    // Both have told of themselves, and have looked for the other.
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    assert!(degraded(&ctx).await.is_empty(), "whoever has just started may be missed");
    test.clock.advance(chrono::TimeDelta::seconds(50));
    let apart = async || {
        let degraded = operations::get(&ctx).await.expect("told").degraded;
        let apart = degraded.into_iter().filter(|one| one.what.contains("use different"));
        apart.map(|one| (one.code, one.what)).collect::<Vec<_>>()
    };
    until("it is told", async || apart().await.len() == 2).await;
    for (code, what) in apart().await {
        assert!(matches!(code, Code::Redis | Code::Nats) && what.ends_with("(worker)."), "{what}");
    }
    elsewhere.close().await.expect("closes");
    assert_eq!(apart().await, []);
    same.close().await.expect("closes");
}

/// Neither would hear what the other changes, and both would count apart, without a link that is down.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_redis_and_nats_beside_others_is_said_by_both() {
    let (test, ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let alone = test.server("alone", &all, |config| config.cluster = None).await.expect("opens");
    let there = alone.own_ctx(Principal::Cli);
    tokio::time::sleep(std::time::Duration::from_secs(12)).await;
    assert!(degraded(&ctx).await.is_empty(), "whoever has just started may be missed");
    test.clock.advance(chrono::TimeDelta::seconds(50));
    for (ctx, says) in [
        (
            &ctx,
            ["Servers that share this database use no Redis", "Servers that share this database use no NATS"],
        ),
        (&there, ["This server uses no Redis, but shares", "This server uses no NATS, but shares"]),
    ] {
        until("it is told", async || {
            let degraded = operations::get(ctx).await.expect("told").degraded;
            says.iter().all(|says| degraded.iter().any(|one| one.what.starts_with(says)))
        })
        .await;
    }
    // As while NATS is away: pages read afresh.
    let mut heard = alone.listen();
    let missed = tokio::time::timeout(std::time::Duration::from_secs(25), heard.hear()).await;
    assert!(matches!(missed, Ok(Heard::Missed(_))), "{missed:?}");
    alone.close().await.expect("closes");
}

/// The regular sign of life comes ten seconds after the one before.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_the_others_at_once_what_it_reaches() {
    let (mut test, _ctx) = TestApp::clustered().await;
    let raw = crate::write_path::raw(&test).await;
    let told = async || -> (bool, String) {
        let row = "SELECT coalesce((told->'links'->'redis'->>'up')::bool, false) AS up, seen_at::text AS at FROM servers";
        let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, row)).await.expect("read");
        let row = row.expect("its row");
        (row.try_get("", "up").expect("told"), row.try_get("", "at").expect("told"))
    };
    until("it reaches Redis", async || told().await.0).await;
    let (_, before) = told().await;
    until("it has told again", async || told().await.1 != before).await;
    let again = Instant::now();
    test.engines().0.kill();
    until("it has told that Redis is away", async || !told().await.0).await;
    assert!(again.elapsed() < Duration::from_secs(9), "{:?}", again.elapsed());
}

/// PostgreSQL of the tests takes 60 connections, of which 3 are reserved.
#[tokio::test(flavor = "multi_thread")]
async fn the_connections_of_all_live_servers_are_counted() {
    let (test, _ctx) = TestApp::clustered().await;
    let room = async |app: &App| app.around().await.expect("seen").small_room;
    assert_eq!(room(&test.app).await, None, "two servers and a command would have room");
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let second = test.second().await;
    assert_eq!(room(&test.app).await, None);
    let third = test.server("third", &all, |_| ()).await.expect("opens");
    let small = room(&test.app).await.expect("too small for three");
    assert_eq!((small.servers, small.used, small.allowed), (3, 61, 57));
    third.close().await.expect("closes");
    assert_eq!(room(&second).await, None, "it left");
    second.close().await.expect("closes");
}
