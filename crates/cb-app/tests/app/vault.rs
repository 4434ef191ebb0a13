//! What is sealed opens in its place, whatever becomes of the keys; and nowhere else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use cb_app::auth::factors::{self, TotpConfirm};
use cb_app::{App, Ctx, List, audit, vault};
use cb_core::config::Config;
use cb_core::{Error, OsEntropy, Principal, Secret};
use cb_store::entities::{user, vault_key};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, Statement,
};
use cb_store::sealed::{SEALED, TOTP_SECRET};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use cb_vault::fernet::Key;
use cb_vault::seal::{Ring, RootKey, key_of};
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::json;
use uuid::Uuid;

use crate::write_path::raw;

/// The administrator, who has just shown a password, on `app`.
pub fn proven(test: &TestApp, app: &App, ctx: &Ctx) -> Ctx {
    let Principal::User { id, username, role, session, .. } = ctx.principal().clone() else {
        panic!("a user")
    };
    let who = Principal::User { id, username, role, session, proved_at: Some(test.app.now()) };
    app.ctx(who, test.meta())
}

pub fn me(ctx: &Ctx) -> Uuid {
    ctx.principal().id().expect("a user")
}

/// Stores a sealed secret, as enrolling does; answers it. Who meets a busy database is told to come again, and does.
pub async fn begin(ctx: &Ctx) -> String {
    for _ in 0..TRIES {
        match factors::begin(ctx).await {
            Ok(begun) => return begun.secret,
            Err(Error::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the database was busy {TRIES} times")
}

/// A write waits 2.5 seconds at most for the others.
const TRIES: u32 = 20;

/// Whether the stored secret opens for `ctx`: a wrong code is told from a secret that does not open.
pub async fn opens(ctx: &Ctx) -> bool {
    for _ in 0..TRIES {
        match factors::confirm(ctx, TotpConfirm { code: Secret::new("x".to_owned()) }).await {
            Err(Error::Invalid(_)) => return true,
            Err(Error::Internal(_)) => return false,
            Err(Error::Unavailable(_)) => {}
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("a wrong code"),
        }
    }
    panic!("the database was busy {TRIES} times")
}

pub fn root_file(test: &TestApp) -> Key {
    let kept = std::fs::read_to_string(test.data_dir().join("vault-key")).expect("a key");
    Key::parse(&Secret::new(kept)).expect("a key")
}

pub async fn ring(test: &TestApp, db: &DatabaseConnection) -> Ring {
    let rows = vault_key::Entity::find().all(db).await.expect("reads");
    let current = rows.iter().filter(|r| r.retired_at.is_none()).map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(current.len(), 1, "one key seals");
    let kept = rows.iter().map(|r| (&r.id, r.wrapped.as_str()));
    Ring::unwrap(&RootKey::new(root_file(test)), current[0], kept).expect("opens")
}

/// Every sealed text, by its row.
pub async fn texts(db: &DatabaseConnection) -> Vec<(Uuid, String)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = TOTP_SECRET.page(db, after).await.expect("reads");
        let Some((last, _)) = page.last() else { return all };
        after = Some(*last);
        all.extend(page);
    }
}

/// So many users with a sealed secret each, all of them different and such as an authenticator takes.
pub async fn crowd(test: &TestApp, db: &DatabaseConnection, ring: &Ring, count: u32) {
    let now = test.app.now();
    let mut rows = Vec::new();
    for n in 0..count {
        let id = test.app.new_id();
        let letters: String = format!("{n:04}").bytes().map(|d| char::from(d - b'0' + b'A')).collect();
        let secret = Secret::new(format!("GEZDGNBVGY3TQOJQGEZDGNBVGY3T{letters}"));
        let sealed = ring.seal(TOTP_SECRET.place(&id), &secret, now, &OsEntropy);
        let row = user::Model {
            id,
            username: format!("crowd{n}"),
            username_key: format!("crowd{n}"),
            email: None,
            password_hash: "x".to_owned(),
            role: "viewer".to_owned(),
            auth_epoch: 0,
            disabled_at: None,
            last_login_at: None,
            password_changed_at: None,
            totp_secret: Some(sealed.expect("seals")),
            totp_step: None,
            totp_enabled_at: None,
            passkeys: 0,
            created_at: now,
            updated_at: now,
        };
        rows.push(user::ActiveModel::from(row).reset_all());
    }
    for some in rows.chunks(500) {
        user::Entity::insert_many(some.to_vec()).exec(db).await.expect("inserted");
    }
}

pub async fn entries(test: &TestApp, action: audit::Action) -> Vec<serde_json::Value> {
    let ctx = test.app.own_ctx(Principal::Cli);
    let filter = audit::EntryFilter { action: Some(action), entity_id: None };
    let list = audit::list(&ctx, &List::default(), &filter).await.expect("listed");
    list.items.into_iter().map(|e| e.detail).collect()
}

pub async fn beside(config: &Config, test: &TestApp) -> Result<App, String> {
    let app = App::beside(config, test.clock.clone(), Arc::new(OsEntropy)).await;
    app.map_err(|e| e.to_string())
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_seals_everything_anew_and_keeps_the_old_key(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    crowd(&test, &db, &ring(&test, &db).await, 1_203).await;
    let ctx = proven(&test, &test.app, &ctx);
    let (old, before) = (vault::status(&ctx).await.expect("told"), texts(&db).await);
    assert_eq!((old.sealed, old.keys.len(), old.rotated_at), (1_203, 1, None));
    assert_eq!(old.rotation_days, Some(90));
    test.clock.advance(TimeDelta::minutes(1));
    let new = vault::rotate(&ctx).await.expect("rotates");
    assert_ne!(new.current_key_id, old.current_key_id);
    assert_eq!((new.sealed, new.keys.len(), new.rotated_at), (1_203, 2, Some(test.app.now())));
    assert_eq!(new.next_rotation_at, Some(test.app.now() + TimeDelta::days(90)));
    let told = json!({ "from": old.current_key_id, "to": new.current_key_id, "resealed": 1_203 });
    assert_eq!(entries(&test, audit::Action::VaultKeyRotated).await, [told]);
    let (ring, after) = (ring(&test, &db).await, texts(&db).await);
    let mut seen = BTreeSet::new();
    for ((row, was), (same, text)) in before.iter().zip(&after) {
        assert!(row == same && was != text && key_of(text) == Some(new.current_key_id), "{row}");
        seen.insert(ring.open(TOTP_SECRET.place(row), text).expect("opens").expose().to_owned());
        // What somebody had sealed before and writes only now still opens.
        ring.open(TOTP_SECRET.place(row), was).expect("a retired key opens");
    }
    assert_eq!(seen.len(), 1_203);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_and_has_just_proved_it_rotates(#[values(Sqlite)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    test.clock.advance(TimeDelta::minutes(11));
    assert!(matches!(vault::rotate(&ctx).await, Err(Error::ProofRequired)));
    let nobody = test.app.own_ctx(Principal::Server);
    assert!(matches!(vault::rotate(&nobody).await, Err(Error::Denied(_))));
    assert!(matches!(vault::status(&nobody).await, Err(Error::Denied(_))));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_ciphertext_does_not_open(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let ctx = proven(&test, &test.app, &ctx);
    crowd(&test, &db, &ring(&test, &db).await, 2).await;
    begin(&ctx).await;
    assert!(opens(&ctx).await, "the control");
    let swap = "UPDATE users SET totp_secret = (SELECT totp_secret FROM users WHERE username = 'crowd1') WHERE username = 'maria'";
    db.execute_unprepared(swap).await.expect("swapped");
    assert!(!opens(&ctx).await);
    let refused = vault::rotate(&ctx).await;
    assert!(
        matches!(&refused, Err(Error::Conflict(why)) if why.contains(&me(&ctx).to_string())),
        "{refused:?}"
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_while_keys_rotate_ends_under_the_newest(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    crowd(&test, &db, &ring(&test, &db).await, 800).await;
    let other = beside(test.config(), &test).await.expect("opens");
    let writers: Vec<_> = [&test.app, &other]
        .into_iter()
        .map(|app| {
            let ctx = proven(&test, app, &ctx);
            tokio::spawn(async move {
                let mut last = String::new();
                for _ in 0..25 {
                    last = begin(&ctx).await;
                    assert!(opens(&ctx).await);
                }
                last
            })
        })
        .collect();
    let rotator = proven(&test, &test.app, &ctx);
    for _ in 0..4 {
        vault::rotate(&rotator).await.expect("rotates");
    }
    let mut lasts = Vec::new();
    for writer in writers {
        lasts.push(writer.await.expect("no panic"));
    }
    let ring = ring(&test, &db).await;
    let all = texts(&db).await;
    assert_eq!(all.len(), 801);
    for (row, text) in &all {
        let opened = ring.open(TOTP_SECRET.place(row), text).expect("opens");
        assert_eq!(key_of(text), Some(ring.current()), "{row} was left under an old key");
        assert!(*row != me(&ctx) || lasts.iter().any(|l| l == opened.expose()), "lost");
    }
    assert_eq!(entries(&test, audit::Action::VaultKeyRotated).await.len(), 4);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_does_not_open_stops_the_rotation_and_is_named(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let ctx = proven(&test, &test.app, &ctx);
    crowd(&test, &db, &ring(&test, &db).await, 700).await;
    let (bad, text) = texts(&db).await[650].clone();
    let damage = format!("UPDATE users SET totp_secret = '{}AAAA' WHERE totp_secret = '{text}'", &text[..80]);
    db.execute_unprepared(&damage).await.expect("damaged");
    let (before, keys) = (texts(&db).await, vault_key::Entity::find().all(&db).await.expect("reads"));
    let Err(Error::Conflict(why)) = vault::rotate(&ctx).await else { panic!("it was to be refused") };
    assert!(why.contains("users.totp_secret") && why.contains(&bad.to_string()), "{why}");
    assert!(!why.contains(&text[60..80]), "never the content: {why}");
    assert_eq!(texts(&db).await, before);
    assert_eq!(vault_key::Entity::find().all(&db).await.expect("reads"), keys);
    assert!(entries(&test, audit::Action::VaultKeyRotated).await.is_empty());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_through_rotations_opens_and_seals(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let awake = proven(&test, &test.app, &ctx);
    let other = beside(test.config(), &test).await.expect("opens");
    let slept = proven(&test, &other, &ctx);
    begin(&awake).await;
    vault::rotate(&awake).await.expect("rotates");
    vault::rotate(&awake).await.expect("rotates");
    assert!(opens(&slept).await, "what was sealed with a key that it had never seen");
    let third = vault::rotate(&awake).await.expect("rotates").current_key_id;
    begin(&slept).await;
    assert_eq!(key_of(&texts(&db).await[0].1), Some(third), "sealed with a key that it had never seen");
    assert!(opens(&awake).await);
    // A key that is nowhere is told by its id.
    let nowhere = Uuid::from_u128(77);
    let sql = format!("UPDATE users SET totp_secret = REPLACE(totp_secret, '{third}', '{nowhere}')");
    db.execute_unprepared(&sql).await.expect("changed");
    let told = factors::confirm(&slept, TotpConfirm { code: Secret::new("x".to_owned()) }).await;
    let Err(Error::Internal(told)) = told else { panic!("it was not to open") };
    assert!(told.contains(&nowhere.to_string()) && told.contains(&third.to_string()), "{told}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_root_key_that_opens_nothing_is_refused(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    let file = test.data_dir().join("vault-key");
    let right = std::fs::read_to_string(&file).expect("a key");
    let ours = RootKey::new(root_file(&test)).fingerprint();
    let wrong = Key::generate(&OsEntropy);
    let theirs = RootKey::new(Key::parse(&Secret::new(wrong.clone())).expect("a key")).fingerprint();
    let tells = |said: &str, name: &str| {
        for part in [name, ours.as_str(), theirs.as_str(), "Put back the key"] {
            assert!(said.contains(part), "{part} in {said}");
        }
        assert!(!said.contains(wrong.trim()) && !said.contains(right.trim()), "{said}");
    };
    let given = Config { vault_key: Some(Secret::new(wrong.clone())), ..test.config().clone() };
    tells(&beside(&given, &test).await.err().expect("refused"), "CB_VAULT_KEY");
    std::fs::write(&file, &wrong).expect("written");
    tells(&beside(test.config(), &test).await.err().expect("refused"), &file.display().to_string());
    std::fs::remove_file(&file).expect("removed");
    let said = beside(test.config(), &test).await.err().expect("refused");
    assert!(said.contains(&ours) && said.contains("does not exist"), "{said}");
    assert!(!file.exists(), "no new one is made");
    std::fs::write(&file, &right).expect("written");
    let back = beside(test.config(), &test).await.expect("opens");
    assert!(opens(&proven(&test, &back, &ctx)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_two_rotations_opens_with_the_same_root_key() {
    let (test, ctx) = TestApp::ready(Sqlite).await;
    let db = raw(&test).await;
    let ctx = proven(&test, &test.app, &ctx);
    begin(&ctx).await;
    let dir = tempfile::tempdir().expect("a folder");
    let copy = format!("VACUUM INTO '{}'", dir.path().join("circuit-breaker.db").display());
    db.execute_unprepared(&copy).await.expect("copied");
    for _ in 0..2 {
        vault::rotate(&ctx).await.expect("rotates");
    }
    std::fs::copy(test.data_dir().join("vault-key"), dir.path().join("vault-key")).expect("copied");
    let vars = [("CB_DATA_DIR".to_owned(), dir.path().display().to_string())];
    let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("valid");
    let app = App::open(&config, test.clock.clone(), Arc::new(OsEntropy)).await.expect("opens");
    let restored = proven(&test, &app, &ctx);
    assert!(opens(&restored).await);
    vault::rotate(&restored).await.expect("rotates");
    assert!(opens(&restored).await);
    drop(restored);
    app.close().await.expect("closes");
}

/// As the version before data keys had left it.
pub async fn of_old(test: &TestApp, db: &DatabaseConnection, row: Uuid) {
    db.execute_unprepared("DELETE FROM vault_keys").await.expect("removed");
    sealed_by_root(test, db, row).await;
}

/// The secret of the administrator, as only the root key seals it.
pub async fn sealed_by_root(test: &TestApp, db: &DatabaseConnection, row: Uuid) {
    let plain = format!("users.totp_secret/{row}\nGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let direct = root_file(test).encrypt(plain.as_bytes(), test.app.now(), &OsEntropy);
    let sql = format!("UPDATE users SET totp_secret = '{direct}' WHERE username = 'maria'");
    db.execute_unprepared(&sql).await.expect("changed");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_root_key_had_sealed_itself_is_sealed_anew(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    of_old(&test, &db, me(&ctx)).await;
    let wrong = Config { vault_key: Some(Secret::new(Key::generate(&OsEntropy))), ..test.config().clone() };
    let said = beside(&wrong, &test).await.err().expect("refused");
    assert!(
        said.contains("CB_VAULT_KEY") && said.contains("cannot decrypt any of the stored secrets (1)"),
        "{said}"
    );
    let keys = async || vault_key::Entity::find().all(&db).await.expect("reads");
    assert!(keys().await.is_empty(), "no key is made over what it cannot open");
    // A context holds the application open.
    let who = ctx.principal().clone();
    drop(ctx);
    let test = test.restart().await;
    let current = keys().await[0].id;
    assert_eq!(key_of(&texts(&db).await[0].1), Some(current));
    let told = json!({ "to": current, "resealed": 1, "damaged": 0, "damaged_rows": [] });
    // The newest first; the other is of the first start.
    assert_eq!(entries(&test, audit::Action::VaultKeyCreated).await[0], told);
    assert!(opens(&proven(&test, &test.app, &test.app.ctx(who, test.meta()))).await);
    let test = test.restart().await;
    assert_eq!(
        (keys().await.len(), entries(&test, audit::Action::VaultKeyCreated).await.len()),
        (1, 2),
        "once"
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_old_enough_is_rotated_once(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _ctx) = TestApp::ready(database).await;
    let due = async || vault::rotate_if_due(&test.app).await.expect("looked at");
    test.clock.advance(TimeDelta::days(89));
    assert!(!due().await);
    test.clock.advance(TimeDelta::days(1));
    assert!(due().await && !due().await);
    // A clock that is set back does not make it due again.
    test.clock.set(TimeDelta::days(-60));
    assert!(!due().await);
    let told = vault::status(&test.app.own_ctx(Principal::Cli)).await.expect("told");
    assert_eq!(told.keys.len(), 2);
    let never = "UPDATE settings SET vault_key_rotation_days = NULL";
    raw(&test).await.execute_unprepared(never).await.expect("set");
    test.clock.advance(TimeDelta::days(1_000));
    assert!(!due().await);
}

/// Columns that are called like secrets and hold none that could be read again.
const NOT_SEALED: &[(&str, &str, &str)] = &[
    ("users", "username_key", "a name, folded"),
    ("assets", "name_key", "a name, folded"),
    ("tags", "name_key", "a name, folded"),
    ("networks", "cidr_key", "sorts"),
    ("addresses", "ip_key", "sorts"),
    ("findings", "title_key", "a name, folded"),
    ("findings", "address_key", "sorts"),
    ("jobs", "dedup_key", "tells jobs apart"),
    ("vault_keys", "wrapped", "wrapped by the root key, which rewraps it"),
    ("users", "password_changed_at", "a time"),
    ("settings", "vault_key_rotation_days", "a number"),
    ("settings", "vault_key_rotated_at", "a time"),
    ("audit_anchor", "key_id", "names a public key"),
    ("audit_checkpoints", "key_id", "names a public key"),
    ("passkeys", "credential", "the public half"),
    ("credentials", "name_key", "a name, folded"),
    ("credentials", "host_key_sha256", "the fingerprint of a public key"),
    ("credentials", "secret_changed_at", "a time"),
    ("credential_uses", "credential_id", "names a row"),
    ("hooks", "name_key", "a name, folded"),
    ("hooks", "secret_changed_at", "a time"),
    ("oidc_providers", "credential_id", "names a row"),
    ("webhooks", "name_key", "a name, folded"),
    ("webhooks", "previous_secret_until", "a time"),
    ("webhooks", "secret_changed_at", "a time"),
    ("channels", "name_key", "a name, folded"),
    ("views", "name_key", "a name, folded"),
    ("passkeys", "credential_id", "the public half"),
];

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_column_that_holds_a_secret_is_on_the_list(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    let (backend, sql) = match database {
        Sqlite => (
            DbBackend::Sqlite,
            "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'",
        ),
        Postgres => (
            DbBackend::Postgres,
            "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'",
        ),
    };
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await.expect("reads");
    let columns: Vec<(String, String)> = rows
        .iter()
        .map(|r| (r.try_get_by_index(0).expect("a text"), r.try_get_by_index(1).expect("a text")))
        .collect();
    assert!(columns.len() > 100, "{}", columns.len());
    let listed = |t: &str, c: &str| SEALED.iter().any(|s| (s.table, s.column) == (t, c));
    let excused = |t: &str, c: &str| NOT_SEALED.iter().any(|n| (n.0, n.1) == (t, c));
    for (table, column) in &columns {
        if listed(table, column) {
            continue;
        }
        let words: Vec<&str> = column.split('_').collect();
        let hashed = words.last().is_some_and(|w| *w == "hash");
        let says = ["secret", "password", "passphrase", "credential", "wrapped", "key", "community"];
        let suspect = !hashed && words.iter().any(|w| says.contains(w));
        assert!(
            !suspect || excused(table, column),
            "{table}.{column} is called like a secret; put it on cb_store::sealed::SEALED"
        );
        let sql =
            format!("SELECT COUNT(*) FROM \"{table}\" WHERE CAST(\"{column}\" AS TEXT) LIKE 'v1:%:gAAAA%'");
        let found = db.query_one_raw(Statement::from_string(backend, sql)).await.expect("reads");
        let found: i64 = found.expect("a row").try_get_by_index(0).expect("a number");
        assert_eq!(found, 0, "{table}.{column} holds sealed texts; put it on cb_store::sealed::SEALED");
    }
    for (table, column) in
        SEALED.iter().map(|s| (s.table, s.column)).chain(NOT_SEALED.iter().map(|n| (n.0, n.1)))
    {
        assert!(columns.iter().any(|(t, c)| t == table && c == column), "{table}.{column} is not there");
    }
}
