//! The root key changes; what is sealed stays as it is, and opens for whoever has the key that fits.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use cb_app::{App, vault};
use cb_core::config::Config;
use cb_core::{Error, OsEntropy, Principal, Secret};
use cb_store::entities::vault_key;
use cb_store::sea_orm::{ConnectionTrait as _, EntityTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use cb_vault::fernet::Key;
use cb_vault::seal::{RootKey, key_of};
use rstest::rstest;
use serde_json::json;

use crate::vault::{
    begin, beside, crowd, entries, me, opens, proven, ring, root_file, sealed_by_root, texts,
};
use crate::write_path::raw;

fn file(test: &TestApp) -> PathBuf {
    test.data_dir().join("vault-key")
}

fn staged(test: &TestApp) -> PathBuf {
    test.data_dir().join("vault-key.new")
}

fn kept(test: &TestApp) -> String {
    std::fs::read_to_string(file(test)).expect("a key").trim().to_owned()
}

fn fingerprint(key: &str) -> String {
    RootKey::new(Key::parse(&Secret::new(key.to_owned())).expect("a key")).fingerprint()
}

/// `cb vault rewrap`, as a process of its own over `config`.
async fn rewrap(test: &TestApp, config: &Config) -> Result<vault::Rewrapped, Error> {
    let app = beside(config, test).await.expect("opens");
    let done = vault::rewrap(&app.own_ctx(Principal::Cli)).await;
    app.close().await.expect("closes");
    done
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_key_takes_the_old_ones_place(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    crowd(&test, &db, &ring(&test, &db).await, 40).await;
    let running = proven(&test, &test.app, &ctx);
    begin(&running).await;
    vault::rotate(&running).await.expect("rotates");
    let (old, before) = (kept(&test), texts(&db).await);
    let done = rewrap(&test, test.config()).await.expect("rewraps");
    let new = kept(&test);
    assert_eq!((done.from.as_str(), done.to.as_str()), (&*fingerprint(&old), &*fingerprint(&new)));
    assert_ne!(done.from, done.to);
    assert_eq!((done.keys, done.file), (2, Some(file(&test))));
    let mode = std::fs::metadata(file(&test)).expect("there").permissions().mode();
    assert_eq!((mode & 0o777, staged(&test).exists()), (0o600, false));
    assert_eq!(texts(&db).await, before, "what is sealed stays as it was");
    let now = ring(&test, &db).await;
    for row in vault_key::Entity::find().all(&db).await.expect("reads") {
        assert!(now.knows(&row.id) && row.root_fingerprint == done.to);
    }
    let told = json!({ "from": done.from, "to": done.to, "keys": 2, "resealed": 0, "unreadable_keys": [] });
    assert_eq!(entries(&test, cb_app::audit::Action::VaultRootChanged).await, [told]);
    // Who runs on, with the old key in memory, opens, seals, and finds the new one when it is needed.
    assert!(opens(&running).await);
    begin(&running).await;
    let third = vault::rotate(&running).await.expect("rotates");
    assert_eq!(third.root_fingerprint, done.to);
    assert!(opens(&running).await);
    for (row, text) in texts(&db).await {
        assert_eq!(key_of(&text), Some(third.current_key_id), "{row}");
    }
    assert!(opens(&proven(&test, &beside(test.config(), &test).await.expect("opens"), &ctx)).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn who_slept_through_a_new_root_and_a_rotation_opens(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let slept = proven(&test, &test.app, &ctx);
    rewrap(&test, test.config()).await.expect("rewraps");
    let awake = proven(&test, &beside(test.config(), &test).await.expect("opens"), &ctx);
    vault::rotate(&awake).await.expect("rotates");
    begin(&awake).await;
    assert!(opens(&slept).await, "an unknown key id leads to the new root key");
    begin(&slept).await;
    assert!(opens(&awake).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn where_the_operator_keeps_the_key_the_new_one_is_given_too(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    let (old, new) = (kept(&test), Key::generate(&OsEntropy));
    std::fs::remove_file(file(&test)).expect("removed");
    let with = |key: &str, next: Option<&str>| Config {
        vault_key: Some(Secret::new(key.to_owned())),
        vault_key_new: next.map(|n| Secret::new(n.to_owned())),
        ..test.config().clone()
    };
    let told = rewrap(&test, &with(&old, None)).await;
    let Err(Error::Conflict(told)) = told else { panic!("no key is made that nobody keeps: {told:?}") };
    assert!(told.contains("CB_VAULT_KEY_NEW") && told.contains("openssl rand"), "{told}");
    let running = beside(&with(&old, None), &test).await.expect("opens");
    let done = rewrap(&test, &with(&old, Some(&new))).await.expect("rewraps");
    assert_eq!((done.to, done.file), (fingerprint(&new), None));
    assert!(!staged(&test).exists() && !file(&test).exists());
    let again = rewrap(&test, &with(&old, Some(&new))).await;
    assert!(matches!(&again, Err(Error::Conflict(why)) if why.contains("already")), "{again:?}");
    // With the old key alone: what runs goes on, what wants the root key says what to do, and none starts.
    let running = proven(&test, &running, &ctx);
    assert!(opens(&running).await);
    begin(&running).await;
    let told = vault::rotate(&running).await;
    let Err(Error::Unavailable(told)) = told else { panic!("it has the old key: {told:?}") };
    for part in [&*fingerprint(&old), &*fingerprint(&new), "CB_VAULT_KEY", "start this process again"] {
        assert!(told.contains(part), "{told}");
    }
    let told = beside(&with(&old, None), &test).await.err().expect("refused");
    assert!(told.contains(&fingerprint(&old)) && told.contains(&fingerprint(&new)), "{told}");
    assert!(!told.contains(&old) && !told.contains(&new), "never a key");
    for config in [with(&old, Some(&new)), with(&new, None)] {
        let app = beside(&config, &test).await.expect("opens");
        assert!(opens(&proven(&test, &app, &ctx)).await);
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_start_finishes_or_takes_back_what_was_cut_short(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    let old = kept(&test);
    let opens_now = async || {
        let app = beside(test.config(), &test).await?;
        assert!(opens(&proven(&test, &app, &ctx)).await);
        app.close().await.map_err(|e| e.to_string())
    };
    // Before the commit: a whole key, and half of one.
    for left in [Key::generate(&OsEntropy), old[..20].to_owned(), String::new()] {
        std::fs::write(staged(&test), left).expect("written");
        opens_now().await.expect("opens");
        assert!(!staged(&test).exists() && kept(&test) == old);
    }
    rewrap(&test, test.config()).await.expect("rewraps");
    let new = kept(&test);
    // Behind the commit, before the move.
    std::fs::write(file(&test), &old).expect("written");
    std::fs::write(staged(&test), &new).expect("written");
    opens_now().await.expect("opens");
    assert!(!staged(&test).exists() && kept(&test) == new);
    // The change runs in another process: nothing is touched, and the key is found all the same.
    std::fs::write(file(&test), &old).expect("written");
    std::fs::write(staged(&test), &new).expect("written");
    let held = std::fs::File::create(test.data_dir().join("vault-key.lock")).expect("made");
    held.lock().expect("locked");
    opens_now().await.expect("opens");
    assert!(staged(&test).exists() && kept(&test) == old);
    let app = beside(test.config(), &test).await.expect("opens");
    let second = vault::rewrap(&app.own_ctx(Principal::Cli)).await;
    assert!(matches!(&second, Err(Error::Conflict(why)) if why.contains("another process")), "{second:?}");
    drop((held, app));
    // Neither fits: both are left for whoever knows better.
    std::fs::write(staged(&test), Key::generate(&OsEntropy)).expect("written");
    let told = opens_now().await.expect_err("refused");
    assert!(told.contains(&fingerprint(&old)) && told.contains(&fingerprint(&new)), "{told}");
    assert!(staged(&test).exists() && kept(&test) == old);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_root_key_had_sealed_itself_is_sealed_anew(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    sealed_by_root(&test, &db, me(&ctx)).await;
    assert_eq!(key_of(&texts(&db).await[0].1), None);
    rewrap(&test, test.config()).await.expect("rewraps");
    assert_eq!(entries(&test, cb_app::audit::Action::VaultRootChanged).await[0]["resealed"], 1);
    assert_eq!(key_of(&texts(&db).await[0].1), Some(ring(&test, &db).await.current()));
    assert!(opens(&proven(&test, &test.app, &ctx)).await);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_does_not_open_stops_it_and_nothing_has_changed(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let ctx = proven(&test, &test.app, &ctx);
    begin(&ctx).await;
    let (old, keys) = (kept(&test), vault_key::Entity::find().all(&db).await.expect("reads"));
    let damage = "UPDATE users SET totp_secret = REPLACE(totp_secret, ':gA', ':gB')";
    db.execute_unprepared(damage).await.expect("damaged");
    let refused = rewrap(&test, test.config()).await;
    assert!(
        matches!(&refused, Err(Error::Conflict(why)) if why.contains(&me(&ctx).to_string())),
        "{refused:?}"
    );
    assert!(kept(&test) == old && !staged(&test).exists());
    assert_eq!(vault_key::Entity::find().all(&db).await.expect("reads"), keys);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_may_and_has_just_proved_it_changes_the_root() {
    let (test, ctx) = TestApp::ready(Sqlite).await;
    test.clock.advance(chrono::TimeDelta::minutes(11));
    assert!(matches!(vault::rewrap(&ctx).await, Err(Error::ProofRequired)));
    let nobody = test.app.own_ctx(Principal::Server);
    assert!(matches!(vault::rewrap(&nobody).await, Err(Error::Denied(_))));
    let before = root_file(&test);
    let app = App::beside(test.config(), test.clock.clone(), Arc::new(OsEntropy)).await.expect("opens");
    drop(app);
    assert_eq!(RootKey::new(before).fingerprint(), fingerprint(&kept(&test)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_without_the_key_does_not_make_its_own() {
    let (test, _ctx) = TestApp::ready(Postgres).await;
    let dir = tempfile::tempdir().expect("a folder");
    let config = Config { data_dir: dir.path().to_owned(), ..test.config().clone() };
    let told =
        App::open(&config, test.clock.clone(), Arc::new(OsEntropy)).await.err().expect("refused").to_string();
    assert!(told.contains("vault-key") && told.contains("with its data folder"), "{told}");
    assert!(entries(&test, cb_app::audit::Action::VaultRootReplaced).await.is_empty());
}
