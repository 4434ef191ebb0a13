//! The daily look at the vault: due keys are rotated once, whatever the clock and other servers do, and retired keys go when
//! nobody needs them.

use cb_app::settings::{self, SettingsPatch};
use cb_app::vault::{self, VaultLookResult, VaultOut};
use cb_app::{App, Ctx};
use cb_core::clock::Time;
use cb_core::{Error, Patch, Principal};
use cb_store::sea_orm::ConnectionTrait as _;
use cb_store::sealed::TOTP_SECRET;
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use chrono::{FixedOffset, TimeDelta};
use rstest::rstest;
use serde_json::json;

use crate::vault::{begin, beside, entries, me, proven, ring, texts};
use crate::write_path::raw;

fn tokyo() -> FixedOffset {
    FixedOffset::east_opt(9 * 3600).expect("an offset")
}

async fn told(app: &App) -> VaultOut {
    vault::status(&app.own_ctx(Principal::Cli)).await.expect("told")
}

async fn look(app: &App) -> bool {
    vault::look(app, &tokyo()).await.expect("looks")
}

/// 19:30 UTC is 04:30 in Tokyo.
fn at(test: &TestApp, time: &str) -> Time {
    let time: Time = time.parse().expect("a time");
    let by = time - test.app.now();
    if by < TimeDelta::zero() {
        test.clock.set(by);
    } else {
        test.clock.advance(by);
    }
    time
}

async fn keep(ctx: &Ctx, days: Patch<i32>) -> Result<(), Error> {
    let patch = SettingsPatch { vault_key_rotation_days: days, ..SettingsPatch::default() };
    settings::update(ctx, patch, None).await.map(drop)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_due_key_is_rotated_at_half_past_four_of_the_servers_time(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    at(&test, "2027-01-01T12:00:00Z");
    assert!(look(&test.app).await);
    assert_eq!(told(&test.app).await.look_result, Some(VaultLookResult::Rotated), "missed while none ran");
    at(&test, "2027-03-31T19:00:00Z");
    assert!(look(&test.app).await && !look(&test.app).await);
    let day = told(&test.app).await;
    assert_eq!((day.look_result, day.keys.len()), (Some(VaultLookResult::NotDue), 2), "not 90 days yet");
    // Due at noon; the look of half past four of that day is still to come, that of the day before was missed.
    at(&test, "2027-04-01T19:29:00Z");
    assert!(look(&test.app).await, "missed");
    assert_eq!(told(&test.app).await.keys.len(), 3);
    let before = told(&test.app).await;
    assert!(!look(&test.app).await);
    at(&test, "2027-04-01T19:30:00Z");
    assert!(look(&test.app).await && !look(&test.app).await);
    let after = told(&test.app).await;
    assert_eq!((after.look_result, after.keys.len()), (Some(VaultLookResult::NotDue), before.keys.len()));
    assert_eq!((after.looked_at, after.look_error), (Some(test.app.now()), None));
    assert_eq!(entries(&test, cb_app::audit::Action::VaultKeyRotated).await.len(), 2);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_that_look_one_rotates(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    let other = beside(test.config(), &test).await.expect("opens");
    for round in 1..=3 {
        test.clock.advance(TimeDelta::days(91));
        let both = tokio::join!(look(&test.app), look(&other));
        assert!(both.0 || both.1);
        let after = told(&test.app).await;
        assert_eq!(after.keys.len(), 1 + round, "one rotation");
        assert_eq!(after.look_result, Some(VaultLookResult::Rotated), "whoever was second does not hide it");
    }
    assert_eq!(entries(&test, cb_app::audit::Action::VaultKeyRotated).await.len(), 3);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_neither_rotates_twice_nor_waits_for_ever(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    begin(&proven(&test, &test.app, &ctx)).await;
    // A clock that was wrong by years, when it rotated.
    at(&test, "2035-06-01T00:00:00Z");
    assert!(look(&test.app).await);
    assert_eq!(told(&test.app).await.keys.len(), 2);
    // Put right: looked at at once, for the last look was not.
    at(&test, "2027-01-01T00:00:00Z");
    assert!(look(&test.app).await && !look(&test.app).await);
    let due: Time = "2027-04-01T00:00:00Z".parse().expect("a time");
    let after = told(&test.app).await;
    assert_eq!((after.keys.len(), after.next_rotation_at), (2, Some(due)), "ninety days from now");
    at(&test, "2027-03-31T12:00:00Z");
    assert!(look(&test.app).await);
    assert_eq!(told(&test.app).await.keys.len(), 2);
    at(&test, "2027-04-01T12:00:00Z");
    // The last slot was before noon.
    test.clock.advance(TimeDelta::hours(8));
    assert!(look(&test.app).await);
    let after = told(&test.app).await;
    assert_eq!((after.keys.len(), after.rotated_at), (3, Some(test.app.now())));
    // A clock that was reset, and then put right by the network: it is as if nothing had been.
    at(&test, "1990-01-01T00:00:00Z");
    assert!(look(&test.app).await);
    at(&test, "2027-04-03T00:00:00Z");
    assert!(look(&test.app).await);
    let after = told(&test.app).await;
    assert_eq!((after.keys.len(), after.look_result), (3, Some(VaultLookResult::NotDue)));
    at(&test, "2027-07-03T00:00:00Z");
    assert!(look(&test.app).await);
    assert_eq!(told(&test.app).await.keys.len(), 4);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_fails_says_why_and_the_next_day_tries_again(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let ctx = proven(&test, &test.app, &ctx);
    begin(&ctx).await;
    let db = raw(&test).await;
    let damage = "UPDATE users SET totp_secret = REPLACE(totp_secret, ':gA', ':gB')";
    db.execute_unprepared(damage).await.expect("damaged");
    test.clock.advance(TimeDelta::days(91));
    assert!(look(&test.app).await && !look(&test.app).await);
    let after = told(&test.app).await;
    assert_eq!((after.look_result, after.keys.len()), (Some(VaultLookResult::Failed), 1));
    let why = after.look_error.expect("a reason");
    assert!(why.contains(&me(&ctx).to_string()));
    for _ in 0..2 {
        let failed =
            vault::look_here(&test.app).await.expect_err("the periodic work has failed until it goes well");
        assert!(failed.to_string().contains(&me(&ctx).to_string()), "{failed}");
    }
    db.execute_unprepared(&damage.replace("':gA', ':gB'", "':gB', ':gA'")).await.expect("mended");
    test.clock.advance(TimeDelta::days(1));
    assert!(look(&test.app).await);
    let after = told(&test.app).await;
    assert_eq!(
        (after.look_result, after.look_error, after.keys.len()),
        (Some(VaultLookResult::Rotated), None, 2)
    );
    vault::look_here(&test.app).await.expect("it goes well again");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_goes_when_it_is_old_and_seals_nothing(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let ctx = proven(&test, &test.app, &ctx);
    let db = raw(&test).await;
    begin(&ctx).await;
    let (first, old) = (told(&test.app).await.current_key_id, texts(&db).await[0].1.clone());
    vault::rotate(&ctx).await.expect("rotates");
    let never = "UPDATE settings SET vault_key_rotation_days = NULL";
    db.execute_unprepared(never).await.expect("set");
    // As a table that was put back from a backup.
    db.execute_unprepared(&format!("UPDATE users SET totp_secret = '{old}' WHERE username = 'maria'"))
        .await
        .expect("put back");
    let now = told(&test.app).await;
    let of = |out: &VaultOut, id| out.keys.iter().find(|k| k.id == id).map(|k| (k.secrets, k.kept_until));
    assert_eq!(of(&now, first), Some((1, None)), "in use");
    test.clock.advance(TimeDelta::days(400));
    assert!(look(&test.app).await);
    assert_eq!(told(&test.app).await.keys.len(), 2, "a stored secret needs it");
    assert!(entries(&test, cb_app::audit::Action::VaultKeysRemoved).await.is_empty());
    vault::rotate(&test.app.own_ctx(Principal::Cli)).await.expect("rotates");
    assert_eq!(of(&told(&test.app).await, first).expect("there").0, 0);
    test.clock.advance(TimeDelta::days(1));
    assert!(look(&test.app).await);
    let left = told(&test.app).await;
    assert_eq!((left.keys.len(), of(&left, first)), (2, None), "the one that was retired yesterday is kept");
    let gone = json!({ "keys": [first], "retired_for_days": 365 });
    assert_eq!(entries(&test, cb_app::audit::Action::VaultKeysRemoved).await, [gone]);
    let (row, text) = texts(&db).await[0].clone();
    assert!(ring(&test, &db).await.open(TOTP_SECRET.place(&row), &text).is_ok());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn how_often_is_a_setting_that_asks_for_proof(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    for wrong in [0, -1, 3_651] {
        let refused = keep(&ctx, Patch::Set(wrong)).await;
        let Err(Error::Invalid(errors)) = refused else { panic!("{wrong}: {refused:?}") };
        assert_eq!(errors[0].field, "vault_key_rotation_days");
    }
    keep(&ctx, Patch::Set(30)).await.expect("set");
    assert_eq!(told(&test.app).await.rotation_days, Some(30));
    keep(&ctx, Patch::Clear).await.expect("set");
    let never = told(&test.app).await;
    assert_eq!((never.rotation_days, never.next_rotation_at), (None, None));
    let change = json!({ "vault_key_rotation_days": { "from": 30, "to": null } });
    assert_eq!(entries(&test, cb_app::audit::Action::SettingsUpdated).await[0], change);
    test.clock.advance(TimeDelta::minutes(11));
    assert!(matches!(keep(&ctx, Patch::Set(30)).await, Err(Error::ProofRequired)));
}
