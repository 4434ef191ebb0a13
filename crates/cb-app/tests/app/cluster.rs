//! Two servers over one PostgreSQL, Redis and NATS: what one changes the other hears, and what one counts the other counts on.

use std::sync::Arc;
use std::time::Duration;

use cb_app::auth::login::{LoginIn, login};
use cb_app::tags::{self, TagIn};
use cb_app::{App, Ctx, Heard, Listener, audit, operations, vault};
use cb_core::config::{ClusterUrls, Config};
use cb_core::{Error, Event, OsEntropy, Principal, Secret};
use cb_fabric::Fabric;
use cb_store::sea_orm::{ConnectionTrait as _, DbBackend, Statement};
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
    // Of a file without a key in it, nothing is to be had.
    for text in ["", "no key"] {
        let write = |config: &mut Config| {
            std::fs::write(config.data_dir.join("audit-key"), text).expect("written");
        };
        let why = refused(&test, "audit-blank", &all, write).await;
        assert!(why.contains("takes the key from the database") && why.contains("mv "), "{why}");
    }
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

pub async fn sql(test: &TestApp, sql: &str) {
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
    // So does another one, whose row is as fresh.
    sql(
        &test,
        "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at)
         VALUES ('killed-too', 'killed-too/1', 'all', '0', 'm0022_sites', 'far', now(), now())",
    )
    .await;
    killed.await.expect("opens when the rows count no more").close().await.expect("closes");
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
        "Start the server that has the file",
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
