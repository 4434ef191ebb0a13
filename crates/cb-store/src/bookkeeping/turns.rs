//! Periodic work of two servers on one database: one of them does it, and a run that was taken over is no longer its first server's to end.

use cb_core::Secret;
use cb_core::clock::Time;
use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::{TimeDelta, TimeZone as _, Utc};
use rstest::rstest;

use crate::open::Store;

const WORK: &str = "sweeping";

struct Two {
    one: Store,
    other: Store,
    _dir: tempfile::TempDir,
    _postgres: Option<cb_testkit::Postgres>,
}

impl Two {
    /// On SQLite both are the same server.
    async fn new(database: Database) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
        let (one, other) = if let Some(postgres) = &postgres {
            let url = Secret::new(postgres.url().to_owned());
            let one = Store::open_postgres(&url).await.expect("opens");
            (one, Store::open_postgres(&url).await.expect("opens"))
        } else {
            let one = Store::open_sqlite(dir.path()).await.expect("opens");
            (one.clone(), one)
        };
        Self { one, other, _dir: dir, _postgres: postgres }
    }
}

fn at(minute: i64) -> Time {
    let noon = Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().expect("a date");
    noon + TimeDelta::minutes(minute)
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_come_at_once_one_gets_the_turn(#[values(Sqlite, Postgres)] database: Database) {
    let two = Two::new(database).await;
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..8 {
        let store = if n % 2 == 0 { two.one.clone() } else { two.other.clone() };
        tries.spawn(async move {
            store.begin_work(WORK, &format!("server{n}/1"), at(0), at(10)).await.expect("asked")
        });
    }
    let turns = tries.join_all().await.into_iter().flatten().count();
    assert_eq!(turns, 1);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_taken_over_when_its_lease_ends_and_its_first_server_cannot_end_it(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let two = Two::new(database).await;
    let first = two.one.begin_work(WORK, "a/1", at(0), at(10)).await.expect("asked").expect("due");
    assert!(two.other.begin_work(WORK, "b/1", at(9), at(19)).await.expect("asked").is_none(), "held");
    let second =
        two.other.begin_work(WORK, "b/1", at(10), at(20)).await.expect("asked").expect("its lease is over");
    assert!(!two.one.end_work(&first, at(11), at(60), None).await.expect("told"), "it is another's now");
    assert!(two.other.end_work(&second, at(12), at(72), Some("no room")).await.expect("told"));
    let rows = two.one.works().await.expect("read");
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.started_at, row.ended_at, row.next_at), (Some(at(10)), Some(at(12)), at(72)));
    assert_eq!((row.error.as_deref(), row.holder.as_deref()), (Some("no room"), None));
    assert!(two.one.begin_work(WORK, "a/1", at(71), at(81)).await.expect("asked").is_none(), "not due");
    let third = two.one.begin_work(WORK, "a/1", at(72), at(82)).await.expect("asked").expect("due");
    assert!(two.one.end_work(&third, at(73), at(133), None).await.expect("told"));
    assert_eq!(
        two.one.works().await.expect("read")[0].error,
        None,
        "a run that went well clears the failure"
    );
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_renewed_stays_its_servers_and_one_that_was_taken_over_does_not(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let two = Two::new(database).await;
    let first = two.one.begin_work(WORK, "a/1", at(0), at(10)).await.expect("asked").expect("due");
    assert!(two.one.renew_work(&first, at(18)).await.expect("told"));
    assert!(two.other.begin_work(WORK, "b/1", at(17), at(27)).await.expect("asked").is_none(), "held");
    let second = two.other.begin_work(WORK, "b/1", at(18), at(28)).await.expect("asked").expect("over");
    assert!(!two.one.renew_work(&first, at(40)).await.expect("told"), "it is another's now");
    assert_eq!(two.one.works().await.expect("read")[0].held_until, Some(at(28)));
    assert!(two.other.end_work(&second, at(19), at(79), None).await.expect("told"));
    assert!(!two.other.renew_work(&second, at(40)).await.expect("told"), "it has ended");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_killed_gives_back_its_own_when_it_starts_again(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let two = Two::new(database).await;
    two.one.begin_work(WORK, "a/1", at(0), at(10)).await.expect("asked").expect("due");
    two.one.begin_work("another", "ab/1", at(0), at(10)).await.expect("asked").expect("due");
    assert_eq!(two.one.give_back_work(Some("a")).await.expect("given back"), 1, "not that of server ab");
    two.other.begin_work(WORK, "b/1", at(1), at(11)).await.expect("asked").expect("given back");
    assert_eq!(two.one.give_back_work(None).await.expect("given back"), 2, "who is alone takes all");
}
