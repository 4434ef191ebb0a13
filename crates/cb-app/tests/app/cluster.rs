//! Two servers over one PostgreSQL, Redis and NATS: what one changes the other hears, and what one counts the other counts on.

use std::sync::Arc;
use std::time::Duration;

use cb_app::auth::login::{LoginIn, login};
use cb_app::operations::{self, Code};
use cb_app::reconcile::Name;
use cb_app::scans::{self, ScanIn};
use cb_app::tags::{self, TagIn};
use cb_app::{App, Ctx, Heard, Listener, audit, metrics, sites, vault};
use cb_core::config::{ClusterUrls, Config, ServerRole};
use cb_core::{Error, Event, OsEntropy, Principal, Secret};
use cb_fabric::Fabric;
use cb_store::sea_orm::{ConnectOptions, ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::TestApp;

/// Until the condition holds, or half a minute is over.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in half a minute: {what}");
}

/// Without what a machine with too much to do may bring about: a link of this server that is lost for a moment.
async fn degraded(ctx: &Ctx) -> Vec<operations::Degraded> {
    let mut all = operations::get(ctx).await.expect("told").degraded;
    all.retain(|one| !one.what.starts_with("This server cannot use"));
    all
}

async fn tag(ctx: &Ctx, name: &str) {
    tags::create(ctx, TagIn { name: name.to_owned(), color: "#d97706".to_owned() }).await.expect("made");
}

/// Whether an audit entry of another server was heard in this time.
pub async fn heard_entry(listener: &mut Listener, patience: Duration) -> bool {
    let hear = async {
        loop {
            if let Heard::Event(Event::EntryAppended { .. }) = listener.hear().await {
                return;
            }
        }
    };
    tokio::time::timeout(patience, hear).await.is_ok()
}

/// Makes tags here until the other server hears of one at once: from then on the way is open.
pub async fn connected(here: &Ctx, there: &App) {
    let mut listener = there.listen();
    until("the other server hears", async || {
        tag(here, &here.app().new_id().to_string()).await;
        heard_entry(&mut listener, Duration::from_millis(300)).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_on_one_server_is_heard_on_the_other_and_missed_is_said_while_nats_is_away() {
    let (mut test, ctx) = TestApp::clustered().await;
    let second = test.second().await;
    connected(&ctx, &second).await;
    let there = second.own_ctx(Principal::Cli);
    connected(&there, &test.app).await;
    test.engines().1.kill();
    let mut listener = second.listen();
    until("the other server says that it may have missed something", async || {
        let heard = tokio::time::timeout(Duration::from_millis(300), listener.hear()).await;
        matches!(heard, Ok(Heard::Missed(_)))
    })
    .await;
    tag(&ctx, "written without NATS").await;
    test.engines().1.start_again();
    connected(&ctx, &second).await;
    second.close().await.expect("closes");
}

/// Tries to sign in with a wrong password; answers whether it was let in to be wrong.
async fn guess(test: &TestApp, app: &App) -> bool {
    let input =
        LoginIn { username: "nobody".to_owned(), password: Secret::new("wrong wrong wrong".to_owned()) };
    match login(app, test.meta(), input).await {
        Err(Error::Unauthenticated(_)) => true,
        Err(Error::RateLimited { .. }) => false,
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_counted_together_and_without_redis_by_each_server() {
    let (mut test, _ctx) = TestApp::clustered().await;
    let second = test.second().await;
    until("both count in Redis", async || {
        test.app.fabric_state().degraded().is_empty() && second.fabric_state().degraded().is_empty()
    })
    .await;
    let mut counted = std::time::Instant::now();
    for n in 0..8 {
        let app = if n % 2 == 0 { &test.app } else { &second };
        if n < 5 {
            counted = std::time::Instant::now();
            assert!(guess(&test, app).await, "guess {n}: five, wherever they are made");
        } else if guess(&test, app).await {
            // The machine stood still for so long that the wait, by the clock of Redis, was over.
            assert!(counted.elapsed() >= Duration::from_secs(2), "guess {n} is let in");
            break;
        }
    }
    test.engines().0.kill();
    until("Redis is known to be away", async || !second.fabric_state().degraded().is_empty()).await;
    assert!(!guess(&test, &second).await, "what was counted together is not forgotten");
    second.close().await.expect("closes");
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

fn key_of(test: &TestApp, folder: &str) -> String {
    let file = test.data_dir().with_file_name(folder).join("audit-key");
    std::fs::read_to_string(file).expect("a key").trim().to_owned()
}

/// A server that is refused says so in one line.
async fn refused(test: &TestApp, name: &str, files: &[&str], change: impl FnOnce(&mut Config)) -> String {
    let why = test.server(name, files, change).await.err().expect("refused").to_string();
    assert!(!why.contains('\n'), "{why}");
    why
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_an_empty_folder_takes_the_audit_key_from_the_database_and_verifies() {
    let (test, ctx) = TestApp::clustered().await;
    tag(&ctx, "before").await;
    audit::checkpoints(&ctx).await.expect("signed");
    let second = test.server("second", &["vault-key", "jwt-secret"], |_| ()).await.expect("opens");
    assert_eq!(key_of(&test, "second"), key_of(&test, "data"));
    let there = second.own_ctx(Principal::Cli);
    let verdict = audit::verify(&there).await.expect("verified");
    assert!(verdict.ok && verdict.checkpoints > 0, "{verdict:?}");
    // Other data keys and another root key seal it anew.
    vault::rotate(&ctx).await.expect("rotated");
    let third = test.server("third", &["vault-key", "jwt-secret"], |_| ()).await.expect("opens");
    assert_eq!(key_of(&test, "third"), key_of(&test, "data"));
    // A command on a machine that has no audit key either.
    let mut config = test.config().clone();
    config.data_dir = test.data_dir().with_file_name("command");
    std::fs::create_dir(&config.data_dir).expect("a folder");
    std::fs::copy(test.data_dir().join("vault-key"), config.data_dir.join("vault-key")).expect("copied");
    let beside = App::beside(&config, test.clock.clone(), Arc::new(OsEntropy)).await.expect("opens");
    assert!(audit::verify(&beside.own_ctx(Principal::Cli)).await.expect("verified").ok);
    assert!(!config.data_dir.join("audit-key").exists(), "a command makes nothing");
    drop(there);
    for app in [beside, second, third] {
        app.close().await.expect("closes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_secret_is_refused_and_says_which() {
    let (test, _ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let other = || Some(Secret::new("Wq8nBd6HfJ3gTe5UQm7vXc2LpR9tYw4Z".to_owned()));
    let why = refused(&test, "jwt", &all, |config| config.jwt_secret = other()).await;
    assert!(
        why.starts_with("CB_JWT_SECRET: it is not the secret") && why.contains("stop every server"),
        "{why}"
    );
    let why = refused(&test, "no-jwt", &["vault-key", "audit-key"], |_| ()).await;
    assert!(why.contains("jwt-secret: this file does not exist and CB_JWT_SECRET is not set"), "{why}");
    assert!(!test.data_dir().with_file_name("no-jwt").join("jwt-secret").exists(), "none is made");
    refused(&test, "nothing", &["vault-key"], |_| ()).await;
    assert!(!test.data_dir().with_file_name("nothing").join("audit-key").exists(), "none is left behind");
    let why = refused(&test, "no-vault", &["audit-key", "jwt-secret"], |_| ()).await;
    assert!(why.contains("vault-key: this file does not exist"), "{why}");
    let write = |config: &mut Config| {
        let key = (&OsEntropy as &dyn cb_core::Entropy).token();
        std::fs::write(config.data_dir.join("audit-key"), key).expect("written");
    };
    let why = refused(&test, "audit", &all, write).await;
    assert!(
        why.contains("audit-key: it is not the audit key of this database") && why.contains("mv "),
        "{why}"
    );
    // A command says the same.
    let mut config = test.config().clone();
    config.data_dir = test.data_dir().with_file_name("audit");
    let beside = App::beside(&config, test.clock.clone(), Arc::new(OsEntropy)).await.err().expect("refused");
    assert_eq!(beside.to_string(), why);
    // None of them is among the servers, and the right secrets are let in.
    let right = test.server("right", &all, |_| ()).await.expect("opens");
    let ctx = right.own_ctx(Principal::Cli);
    let there = operations::get(&ctx).await.expect("told").servers;
    assert_eq!(there.len(), 2, "{there:?}");
    drop(ctx);
    right.close().await.expect("closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_sessions_changes_when_no_other_server_runs() {
    let (test, ctx) = TestApp::clustered().await;
    let second = test.second().await;
    drop(ctx);
    let new = || Some(Secret::new("Wq8nBd6HfJ3gTe5UQm7vXc2LpR9tYw4Z".to_owned()));
    let all = ["vault-key", "audit-key", "jwt-secret"];
    refused(&test, "third", &all, |config| config.jwt_secret = new()).await;
    second.close().await.expect("closes");
    // The one that starts again does not stand in its own way.
    let test = test.restart_with(|config| config.jwt_secret = new()).await;
    let why = refused(&test, "third", &all, |config| config.jwt_secret = None).await;
    assert!(why.contains("jwt-secret: it is not the secret"), "{why}");
    let third = test.server("third", &all, |config| config.jwt_secret = new()).await.expect("opens");
    third.close().await.expect("closes");
}

/// What a server of this cluster can say that has another opinion than the database: a bug, or somebody who has its secrets.
pub async fn liar(test: &mut TestApp) -> Fabric {
    let secret = |text: &str| Secret::new(text.to_owned());
    let urls = {
        let (redis, nats) = test.engines();
        ClusterUrls { redis: secret(redis.url()), nats: secret(nats.url()) }
    };
    let key = std::fs::read_to_string(test.data_dir().join("jwt-secret")).expect("a secret");
    let liar = Fabric::cluster(
        &urls,
        &secret(key.trim()),
        &installation(test).await,
        test.clock.clone(),
        Arc::new(OsEntropy),
    )
    .expect("URLs that can be used");
    let mut listener = test.app.listen();
    until("the liar is heard", async || {
        liar.bus().publish([Event::EntryAppended { seq: 1 }]);
        heard_entry(&mut listener, Duration::from_millis(300)).await
    })
    .await;
    liar
}

async fn installation(test: &TestApp) -> String {
    let raw = crate::write_path::raw(test).await;
    let sql = "SELECT fingerprint FROM shared_secrets WHERE name = 'installation'";
    let row = raw.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.expect("reads");
    row.expect("a server has made it").try_get("", "fingerprint").expect("a text")
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_one_database_are_one_installation() {
    let (test, ctx) = TestApp::clustered().await;
    drop(ctx);
    let made = installation(&test).await;
    assert!(made.len() >= 32, "{made}");
    let second = test.second().await;
    assert_eq!(installation(&test).await, made);
    second.close().await.expect("closes");
    let test = test.restart().await;
    assert_eq!(installation(&test).await, made);
    // As in a database of a version that did not make it.
    sql(&test, "DELETE FROM shared_secrets WHERE name = 'installation'").await;
    let test = test.restart().await;
    assert_ne!(installation(&test).await, made);
}

async fn sql(test: &TestApp, sql: &str) {
    crate::write_path::raw(test).await.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

const OTHER: &str = "Wq8nBd6HfJ3gTe5UQm7vXc2LpR9tYw4Z";

fn other_jwt(config: &mut Config) {
    config.jwt_secret = Some(Secret::new(OTHER.to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_folder_is_another_server_and_what_a_kill_has_left_is_not() {
    let (test, _ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret", "server-id"];
    let why = refused(&test, "copy", &all, other_jwt).await;
    assert!(why.contains("it is not the secret") && why.contains("delete the file server-id"), "{why}");
    // With the same secrets it is only told to take another name.
    let same = test.server("copy", &all, |config| config.jwt_secret = None).await.expect("opens");
    same.close().await.expect("closes");
    // This server was killed.
    test.app.clone().close().await.expect("closes");
    sql(
        &test,
        "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at)
         VALUES ('killed', 'killed/1', 'all', '0', 'm0022_sites', 'here', now(), now() - interval '1 second')",
    )
    .await;
    let began = std::time::Instant::now();
    let killed = test.server("killed", &all[..3], |config| {
        std::fs::write(config.data_dir.join("server-id"), "killed").expect("written");
        other_jwt(config);
    });
    killed.await.expect("opens when the row counts no more").close().await.expect("closes");
    assert!(began.elapsed() > Duration::from_secs(20), "it waited");
}

/// After an outage of the database the rows of all servers are old, and one with a wrong secret may be the first that is back.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_were_cut_off_are_not_taken_for_dead_ones() {
    let (test, _ctx) = TestApp::clustered().await;
    let all = ["vault-key", "audit-key", "jwt-secret"];
    test.app.clone().close().await.expect("closes");
    sql(
        &test,
        "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at)
         VALUES ('away', 'away/1', 'all', '0', 'm0022_sites', 'far', now(), now() - interval '10 minutes')",
    )
    .await;
    let back = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        sql(&test, "UPDATE servers SET seen_at = clock_timestamp() WHERE id = 'away'").await;
    };
    let (why, ()) = tokio::join!(refused(&test, "wrong", &all, other_jwt), back);
    assert!(why.contains("it is not the secret") && why.contains("(they run on far)"), "{why}");
    // Whoever has the right one is not made to wait.
    let began = std::time::Instant::now();
    sql(&test, "UPDATE servers SET seen_at = now() - interval '10 minutes' WHERE id = 'away'").await;
    test.server("right", &all, |_| ()).await.expect("opens").close().await.expect("closes");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_away_while_the_secret_changed_does_not_go_on() {
    let (test, _ctx) = TestApp::clustered().await;
    assert!(test.app.is_ready());
    sql(&test, "UPDATE shared_secrets SET fingerprint = 'another one' WHERE name = 'jwt-secret'").await;
    let why = tokio::time::timeout(Duration::from_secs(30), test.app.refused()).await.expect("refused");
    assert!(why.contains("the secret that signs sessions") && why.contains("CB_JWT_SECRET"), "{why}");
    assert!(!test.app.is_ready(), "requests go to another server");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_one_database_compare_their_secrets_without_redis_and_nats_too() {
    let (test, ctx) = TestApp::ready(cb_testkit::Database::Postgres).await;
    drop(ctx);
    let all = ["vault-key", "audit-key", "jwt-secret"];
    let why = refused(&test, "jwt", &all, other_jwt).await;
    assert!(why.starts_with("CB_JWT_SECRET: it is not the secret"), "{why}");
    let why = refused(&test, "no-audit", &["vault-key", "jwt-secret"], |_| ()).await;
    assert!(why.contains("needs the audit key with the ID"), "{why}");
    test.second().await.close().await.expect("closes");
    // The only one: it may change what it has.
    let test = test.restart_with(other_jwt).await;
    drop(test);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_server_of_a_cluster_makes_no_key_where_another_one_has_signed_the_log() {
    let (test, ctx) = TestApp::clustered().await;
    tag(&ctx, "before").await;
    let signed = audit::checkpoints(&ctx).await.expect("signed").items.pop().expect("one").key_id;
    drop(ctx);
    test.app.clone().close().await.expect("closes");
    // As a database is that no cluster has used: moved here, or restored.
    sql(&test, "DELETE FROM shared_secrets").await;
    let why = refused(&test, "empty", &["vault-key", "jwt-secret"], |_| ()).await;
    for part in [
        "audit-key: this file does not exist",
        &signed,
        "tar -xf ARCHIVE -C ",
        "Every other server",
        "CB_REDIS_URL",
    ] {
        assert!(why.contains(part), "{part} in {why}");
    }
    assert!(!test.data_dir().with_file_name("empty").join("audit-key").exists(), "none is made");
    let other = |config: &mut Config| {
        let key = audit::CheckpointKey::generate(&OsEntropy);
        std::fs::write(config.data_dir.join("audit-key"), key).expect("written");
    };
    let why = refused(&test, "other", &["vault-key", "jwt-secret"], other).await;
    assert!(why.contains("it is not the audit key of this database") && why.contains(&signed), "{why}");
    let right = test.server("right", &["vault-key", "audit-key", "jwt-secret"], |_| ()).await.expect("opens");
    assert!(audit::verify(&right.own_ctx(Principal::Cli)).await.expect("verified").ok);
    right.close().await.expect("closes");
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
    let (test, ctx) = TestApp::clustered().await;
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
    let lost = find("Other servers cannot use Redis: barn (worker).").expect("degraded");
    assert!(lost.code == Code::Redis && lost.since.is_some());
    let failing = find("Periodic work fails on barn (worker).").expect("degraded");
    assert_eq!(
        (failing.why.as_deref(), failing.work),
        (Some("The key is another one"), Some(Name::VaultRootKey))
    );
    assert_eq!(
        all.len(),
        2,
        "a worker needs no token, and nobody knows the work of a later version: {all:?}"
    );
    sql(&test, "UPDATE servers SET role = 'api' WHERE host = 'barn'").await;
    let all = degraded(&ctx).await;
    let token = all.iter().find(|one| one.code == Code::ApiToken).expect("degraded");
    assert!(token.why.as_ref().is_some_and(|why| why.ends_with("that of barn (api).")), "{token:?}");
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
    assert!(!operations::get(&ctx).await.expect("told").degraded.iter().any(|one| one.code == Code::Unread));
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
    twin.close().await.expect("closes");
    until("it is the only one", async || !has_twin().await).await;
    let raw = crate::write_path::raw(&test).await;
    let gone = Statement::from_string(DbBackend::Postgres, "SELECT 1 FROM servers WHERE id = 'long-gone'");
    assert!(raw.query_one_raw(gone).await.expect("read").is_none());
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
