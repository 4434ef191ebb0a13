//! Jobs of several workers on one database: who gets which, and what a worker that was late can still do.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};

use cb_core::audit::Action;
use cb_core::clock::Time;
use cb_core::{Error, Principal, Secret};
use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::{TimeDelta, TimeZone as _, Utc};
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, EntityTrait as _};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::entities::job::{Entity, Model};
use crate::open::Store;
use crate::queue::{ANY_TIME, Duty, End, Enqueued, Hold, NewJob, Order, PAYLOAD_MOST, dead_jobs};
use crate::write::{Audit, WriteTx};

const DUTY: Duty<'_> = Duty { kind: KIND, place: "" };
const KIND: &str = "sweeping";
const LEASE: TimeDelta = TimeDelta::seconds(30);

struct Bench {
    store: Store,
    /// Of the server; no database but SQLite asks it.
    second: AtomicI64,
    _dir: tempfile::TempDir,
    postgres: Option<cb_testkit::Postgres>,
}

impl Bench {
    async fn new(database: Database) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
        let store = match &postgres {
            Some(postgres) => Store::open_postgres(&Secret::new(postgres.url().to_owned())).await,
            None => Store::open_sqlite(dir.path()).await,
        };
        Self { store: store.expect("opens"), second: AtomicI64::new(0), _dir: dir, postgres }
    }

    async fn write<T>(
        &self,
        work: impl AsyncFnOnce(&mut WriteTx) -> cb_core::Result<T>,
    ) -> cb_core::Result<T> {
        let audit =
            Audit { action: Action::SettingsUpdated, actor: &Principal::Server, at: at(0), origin: None };
        self.store.write(audit, work).await.map(|(out, _)| out)
    }

    async fn enqueue(&self, new: NewJob, most: u64) -> cb_core::Result<Enqueued> {
        self.write(async |tx| tx.enqueue(new, most).await).await
    }

    /// Jobs 1 to `count`.
    async fn fill(&self, count: u128) {
        self.write(async |tx| {
            for n in 1..=count {
                assert_eq!(tx.enqueue(job(n), 100_000).await?, Enqueued::New);
            }
            Ok(())
        })
        .await
        .expect("made");
    }

    fn times(&self) -> (Time, TimeDelta) {
        (at(self.second.load(Ordering::SeqCst)), LEASE)
    }

    /// PostgreSQL's clock cannot be set: there the rows grow older.
    async fn passes(&self, seconds: i64) {
        self.second.fetch_add(seconds, Ordering::SeqCst);
        if self.postgres.is_some() {
            let sql = format!(
                "UPDATE jobs SET lease_until = lease_until - interval '{seconds} s', not_before = CASE \
                 WHEN not_before > 'epoch' THEN not_before - interval '{seconds} s' ELSE not_before END"
            );
            self.store.writer().execute_unprepared(&sql).await.expect("grown older");
        }
    }

    async fn claim(&self, owner: &str, most: u64) -> Vec<Model> {
        self.claim_by(Order::Priority, owner, most).await
    }

    async fn claim_by(&self, order: Order, owner: &str, most: u64) -> Vec<Model> {
        self.store.claim_jobs((DUTY, order), owner, self.times(), most).await.expect("asked")
    }

    async fn one(&self, owner: &str) -> Hold {
        let rows = self.claim(owner, 1).await;
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        hold(row)
    }

    async fn row(&self, id: Uuid) -> Option<Model> {
        Entity::find_by_id(id).one(self.store.reader()).await.expect("read")
    }

    async fn takes_back(&self) -> u64 {
        self.store.take_back_jobs(KIND, self.times(), &[]).await.expect("asked")
    }
}

fn at(second: i64) -> Time {
    let noon = Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().expect("a date");
    noon + TimeDelta::seconds(second)
}

fn job(n: u128) -> NewJob {
    NewJob {
        id: Uuid::from_u128(n),
        kind: KIND,
        place: None,
        key: None,
        payload: json!({ "n": n.to_string() }),
        priority: 0,
        after: TimeDelta::zero(),
        created_at: at(0),
    }
}

fn hold(row: &Model) -> Hold {
    Hold { id: row.id, owner: row.lease_owner.clone().expect("held"), fence: row.fence }
}

fn numbers(rows: &[Model]) -> Vec<u128> {
    rows.iter().map(|row| row.id.as_u128()).collect()
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_many_workers_no_two_hold_one_job(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::new(database).await;
    bench.fill(400).await;
    let mut workers = JoinSet::new();
    for n in 0..8 {
        let store = bench.store.clone();
        workers.spawn(async move {
            let (mut held, owner) = (Vec::new(), format!("server{n}/1"));
            for _ in 0..200 {
                let rows = store
                    .claim_jobs((DUTY, Order::Priority), &owner, (at(0), LEASE), 7)
                    .await
                    .expect("asked");
                assert!(rows.len() <= 7, "{}", rows.len());
                if rows.is_empty() {
                    break;
                }
                held.extend(numbers(&rows));
            }
            held
        });
    }
    let held: Vec<u128> = workers.join_all().await.into_iter().flatten().collect();
    assert_eq!(held.len(), 400, "each once");
    assert_eq!(held.into_iter().collect::<BTreeSet<_>>().len(), 400, "and none twice");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_late_can_do_nothing_more(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::new(database).await;
    let store = &bench.store;
    bench.fill(1).await;
    let late = bench.one("a/1").await;
    bench.passes(20).await;
    assert_eq!(bench.takes_back().await, 0, "the lease is good to its end");
    assert!(bench.claim("b/1", 1).await.is_empty());
    bench.passes(11).await;
    let taken = bench.store.take_back_jobs(KIND, bench.times(), &[late.id]).await;
    assert_eq!(taken.expect("asked"), 0, "never from the one that asks");
    assert_eq!(bench.takes_back().await, 1);
    let now = bench.one("b/1").await;
    // Also where both are one process: the fence tells them apart.
    let same = Hold { owner: now.owner.clone(), ..late.clone() };
    for old in [&late, &same] {
        assert!(store.renew_jobs(std::slice::from_ref(old), bench.times()).await.expect("asked").is_empty());
        assert_eq!(store.finish_jobs(std::slice::from_ref(old)).await.expect("asked"), 0);
        assert_eq!(store.give_back_jobs(std::slice::from_ref(old), bench.times()).await.expect("asked"), 0);
        assert!(!store.retry_job(old, bench.times(), "late").await.expect("asked"));
        assert!(!store.fail_job(old, at(99), "late").await.expect("asked"));
        assert!(!store.is_held(old).await.expect("asked"));
        let (holds, ends) = bench
            .write(async |tx| Ok((tx.holds(old).await?, tx.end_job(old, End::Done).await?)))
            .await
            .expect("asked");
        assert!(!holds && !ends);
    }
    let row = bench.row(now.id).await.expect("there");
    assert_eq!((row.attempts, row.fence), (2, 2));
    bench.passes(20).await;
    let renewed = store.renew_jobs(std::slice::from_ref(&now), bench.times()).await;
    assert_eq!(renewed.expect("asked"), [now.id]);
    bench.passes(20).await;
    assert_eq!(bench.takes_back().await, 0, "it is held from the renewal on");
    assert!(bench.write(async |tx| tx.holds(&now).await).await.expect("asked"));
    assert_eq!(store.finish_jobs(std::slice::from_ref(&now)).await.expect("asked"), 1);
    assert!(bench.row(now.id).await.is_none());
}

/// The row is locked: whoever takes the lease back waits for the transaction, or passes over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_not_taken_between_the_look_and_the_commit() {
    let bench = Bench::new(Postgres).await;
    bench.fill(1).await;
    let hold = bench.one("a/1").await;
    bench.passes(90).await;
    let kept = bench
        .write(async |tx| {
            assert!(tx.holds(&hold).await?);
            assert_eq!(bench.takes_back().await, 0, "passed over");
            tx.end_job(&hold, End::Done).await
        })
        .await;
    assert!(kept.expect("kept"));
    assert_eq!(bench.takes_back().await, 0);
    assert!(bench.row(hold.id).await.is_none());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_from_a_clock_that_was_wrong_is_over(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::new(database).await;
    bench.fill(1).await;
    for (seconds, over) in [(40, true), (20, false), (-290, false), (-310, true), (-400 * 86_400, true)] {
        bench.one("another").await;
        bench.passes(seconds).await;
        let ahead = bench.store.jobs_ahead(DUTY, bench.times()).await.expect("read");
        assert_eq!(ahead.over, over, "{seconds}");
        assert_eq!(bench.takes_back().await, u64::from(over), "{seconds}");
        bench.store.release_jobs_of(None).await.expect("released");
    }
}

/// The clock of the one that makes a job does not decide when it begins, nor that of the one that claims it.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn servers_whose_clocks_differ_agree(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::new(database).await;
    let ahead = NewJob { created_at: at(86_400), ..job(1) };
    assert_eq!(bench.enqueue(ahead, 9).await.expect("made"), Enqueued::New);
    let hold = bench.one("a/1").await;
    if database == Sqlite {
        return;
    }
    // To a server whose clock is a day ahead this lease is not over, and what waits for a minute is not due.
    let fast = (at(86_400), LEASE);
    assert_eq!(bench.store.take_back_jobs(KIND, fast, &[]).await.expect("asked"), 0);
    assert!(!bench.store.jobs_ahead(DUTY, fast).await.expect("read").over);
    assert!(bench.store.retry_job(&hold, (at(-86_400), TimeDelta::minutes(1)), "busy").await.expect("told"));
    let claimed = bench.store.claim_jobs((DUTY, Order::Priority), "b/1", fast, 1).await.expect("asked");
    assert!(claimed.is_empty());
    let waits = NewJob { created_at: at(-86_400), after: TimeDelta::minutes(2), ..job(2) };
    assert_eq!(bench.enqueue(waits, 9).await.expect("made"), Enqueued::New);
    assert!(bench.claim("a/1", 1).await.is_empty());
    bench.passes(61).await;
    assert_eq!(numbers(&bench.claim("b/1", 9).await), [1]);
    bench.passes(61).await;
    assert_eq!(numbers(&bench.claim("b/1", 9).await), [2]);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_order_is_priority_then_age_and_nothing_begins_before_its_time(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let bench = Bench::new(database).await;
    for (n, priority, after) in [(1, 0, 0), (2, -1, 0), (3, 9, 0), (4, 9, 60), (5, 0, 0), (6, 9, 0)] {
        let new = NewJob { priority, after: TimeDelta::seconds(after), ..job(n) };
        assert_eq!(bench.enqueue(new, 100).await.expect("made"), Enqueued::New);
    }
    let other = NewJob { kind: "other", ..job(7) };
    bench.enqueue(other, 100).await.expect("made");
    let due = async || bench.store.jobs_ahead(DUTY, bench.times()).await.expect("read").due_in;
    assert_eq!(due().await, Some(TimeDelta::zero()));
    assert_eq!(numbers(&bench.claim("a/1", 3).await), [3, 6, 1]);
    assert_eq!(numbers(&bench.claim_by(Order::Age, "a/1", 1).await), [2], "whatever its priority");
    assert_eq!(numbers(&bench.claim("a/1", 9).await), [5]);
    bench.passes(40).await;
    assert!(bench.claim("a/1", 9).await.is_empty());
    assert!(bench.claim_by(Order::Age, "a/1", 9).await.is_empty());
    let wait = due().await.expect("one waits");
    assert!(wait > TimeDelta::zero() && wait <= TimeDelta::seconds(20), "{wait}");
    bench.passes(21).await;
    assert_eq!(numbers(&bench.claim("a/1", 9).await), [4]);
    assert_eq!(due().await, None);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_place_has_its_own_jobs_its_own_room_and_those_of_any_place(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let bench = Bench::new(database).await;
    let places = [None, Some(""), Some("cellar"), Some("barn"), Some("cellar")];
    for (n, place) in (1..).zip(places) {
        let new = NewJob { place: place.map(str::to_owned), ..job(n) };
        assert_eq!(bench.enqueue(new, 2).await.expect("made"), Enqueued::New, "{place:?}");
    }
    let full = NewJob { place: Some("cellar".to_owned()), ..job(9) };
    assert_eq!(bench.enqueue(full, 2).await.expect("asked"), Enqueued::Full, "the others have room");
    let there = async |place: &str| {
        let ahead = bench.store.jobs_ahead(Duty { kind: KIND, place }, bench.times()).await.expect("read");
        ahead.due_in.is_some()
    };
    let claim = async |place: &str| {
        let (owner, duty) = (format!("{place}/1"), Duty { kind: KIND, place });
        let found = bench.store.claim_jobs((duty, Order::Age), &owner, bench.times(), 9).await;
        numbers(&found.expect("asked"))
    };
    assert_eq!(claim("barn").await, [1, 4]);
    assert!(!there("barn").await && there("cellar").await && there("").await);
    assert_eq!(claim("").await, [2]);
    assert_eq!(claim("cellar").await, [3, 5]);
    assert!(!there("cellar").await);
}

/// It costs itself its place, and the others nothing. PostgreSQL's columns hold nothing that cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_read_is_a_dead_letter_alone() {
    let bench = Bench::new(Sqlite).await;
    bench.fill(3).await;
    let spoil = "UPDATE jobs SET payload = 'no JSON' WHERE payload LIKE '%2%'";
    bench.store.writer().execute_unprepared(spoil).await.expect("spoiled");
    assert_eq!(numbers(&bench.claim("a/1", 9).await), [1, 3]);
    let row = bench.row(Uuid::from_u128(2)).await.expect("there, and can be read");
    assert_eq!(row.state, "failed");
    assert!(row.last_error.expect("a reason").contains("could not read"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn one_key_waits_or_runs_once_and_no_more_wait_than_may(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let bench = Bench::new(database).await;
    let keyed = |n| NewJob { key: Some("a key".to_owned()), ..job(n) };
    assert_eq!(bench.enqueue(keyed(1), 3).await.expect("asked"), Enqueued::New);
    assert_eq!(bench.enqueue(keyed(2), 3).await.expect("asked"), Enqueued::Already);
    let running = bench.one("a/1").await;
    assert_eq!(bench.enqueue(keyed(2), 3).await.expect("asked"), Enqueued::Already, "it runs");
    assert!(bench.store.fail_job(&running, at(1), "no").await.expect("told"));
    assert_eq!(bench.enqueue(keyed(2), 3).await.expect("asked"), Enqueued::New, "a dead letter has no key");
    let retried = bench
        .write(async |tx| {
            let row = tx.dead_job(running.id).await?;
            tx.retry_dead_job(&row, KIND, 100).await
        })
        .await;
    assert!(matches!(retried, Err(Error::Conflict(_))), "{retried:?}");
    bench.fill(0).await;
    for (n, expected) in [(3, Enqueued::New), (4, Enqueued::New), (5, Enqueued::Full)] {
        assert_eq!(bench.enqueue(job(n), 3).await.expect("asked"), expected, "{n}");
    }
    let large = NewJob { payload: json!("x".repeat(PAYLOAD_MOST)), ..job(6) };
    assert!(matches!(bench.enqueue(large, 100).await, Err(Error::Internal(_))));
}

/// Both look before either commits: the index decides.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_transactions_one_gets_the_key() {
    let bench = Bench::new(Postgres).await;
    let keyed = |n| NewJob { key: Some("a key".to_owned()), ..job(n) };
    let audit =
        || Audit { action: Action::SettingsUpdated, actor: &Principal::Server, at: at(0), origin: None };
    let mut tries = JoinSet::new();
    for n in 1..=6 {
        let (store, new) = (bench.store.clone(), keyed(n));
        tries.spawn(async move {
            let made = store.write_rows(&[], audit(), async |tx| tx.enqueue(new.clone(), 9).await).await;
            made.expect("asked").0
        });
    }
    let made = tries.join_all().await;
    assert_eq!(made.iter().filter(|made| **made == Enqueued::New).count(), 1, "{made:?}");
    assert!(made.iter().all(|made| *made != Enqueued::Full), "{made:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_a_cause_that_was_not_kept_is_none(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::new(database).await;
    let refused = bench
        .write(async |tx| {
            tx.enqueue(job(1), 9).await?;
            Err::<(), _>(Error::NotFound)
        })
        .await;
    assert!(refused.is_err());
    assert!(bench.row(Uuid::from_u128(1)).await.is_none());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn attempts_count_when_they_begin_unless_they_are_given_back(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let bench = Bench::new(database).await;
    let store = &bench.store;
    bench.fill(1).await;
    let first = bench.one("a/1").await;
    let (now, at_once, soon) = (bench.times().0, TimeDelta::zero(), TimeDelta::seconds(20));
    assert_eq!(store.give_back_jobs(&[first], (now, at_once)).await.expect("told"), 1);
    let again = bench.one("a/1").await;
    assert_eq!(store.give_back_jobs(&[again], (now, soon)).await.expect("told"), 1);
    assert!(bench.claim("a/1", 1).await.is_empty(), "given back for a while");
    bench.passes(21).await;
    let again = bench.one("a/1").await;
    assert!(store.retry_job(&again, (bench.times().0, soon), "busy\nand more").await.expect("told"));
    bench.passes(10).await;
    assert!(bench.claim("a/1", 1).await.is_empty(), "not before its time");
    bench.passes(11).await;
    let row = bench.claim("b/1", 1).await.pop().expect("due");
    assert_eq!((row.attempts, row.last_error.as_deref()), (2, Some("busy and more")));
    // A server that was killed gives back its own when it starts again, and that attempt has been.
    assert_eq!(store.release_jobs_of(Some("a")).await.expect("told"), 0);
    assert_eq!(store.release_jobs_of(Some("b")).await.expect("told"), 1);
    let row = bench.claim("b/2", 1).await.pop().expect("due");
    assert_eq!((row.attempts, row.fence), (3, 5));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_wait_again_and_go_by_age_and_by_number(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::new(database).await;
    let store = &bench.store;
    bench.fill(6).await;
    for (row, second) in bench.claim("a/1", 5).await.iter().zip(1..) {
        assert!(store.fail_job(&hold(row), at(second), "no").await.expect("told"));
    }
    let count = async || {
        let counts = store.job_counts().await.expect("counted");
        let of =
            |is: fn(&super::JobCount) -> bool| counts.iter().filter(|c| is(c)).map(|c| c.count).sum::<i64>();
        (of(super::JobCount::is_waiting), of(super::JobCount::is_running), of(super::JobCount::is_dead))
    };
    assert_eq!(count().await, (1, 0, 5));
    bench
        .write(async |tx| {
            let row = tx.dead_job(Uuid::from_u128(5)).await?;
            tx.retry_dead_job(&row, KIND, 100).await
        })
        .await
        .expect("retried");
    let row = bench.row(Uuid::from_u128(5)).await.expect("there");
    assert_eq!((row.attempts, row.not_before, row.last_error, row.finished_at), (0, ANY_TIME, None, None));
    let refused = bench.write(async |tx| tx.dead_job(Uuid::from_u128(5)).await.map(drop)).await;
    assert!(matches!(refused, Err(Error::NotFound)), "it waits: {refused:?}");
    // What the version before has left when it was done.
    store
        .writer()
        .execute_unprepared(
            "UPDATE jobs SET state = 'done' WHERE priority = 0 AND state = 'queued' AND fence = 0",
        )
        .await
        .expect("done");
    assert_eq!(store.sweep_jobs(at(1), 100).await.expect("swept"), 2, "the done one and the oldest");
    assert_eq!(count().await, (1, 0, 3));
    assert_eq!(store.sweep_jobs(at(1), 1).await.expect("swept"), 2, "all but the newest");
    assert_eq!(count().await, (1, 0, 1));
    assert_eq!(store.sweep_jobs(at(1), 1).await.expect("swept"), 0);
    // Another kind's many dead letters push out none of this one's.
    let other = NewJob { kind: "other", ..job(50) };
    bench.enqueue(other, 9).await.expect("made");
    let other = NewJob { kind: "other", ..job(51) };
    bench.enqueue(other, 9).await.expect("made");
    let rows = store
        .claim_jobs((Duty { kind: "other", place: "" }, Order::Priority), "a/1", bench.times(), 2)
        .await
        .expect("asked");
    for (row, second) in rows.iter().zip(90..) {
        assert!(store.fail_job(&hold(row), at(second), "no").await.expect("told"));
    }
    assert_eq!(store.sweep_jobs(at(1), 1).await.expect("swept"), 1, "the older of the other kind");
    assert_eq!(count().await, (1, 0, 2));
}

/// PostgreSQL has times that are no time, and somebody has written some; and a number of attempts that is as large as it can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_with_times_that_cannot_be_read_stops_no_other() {
    let bench = Bench::new(Postgres).await;
    bench.fill(5).await;
    let odd = [
        "created_at = 'infinity', attempts = 2147483647",
        "created_at = '-infinity', not_before = '-infinity'",
        "not_before = 'infinity'",
        "state = 'failed', finished_at = 'infinity', dedup_key = 'k'",
    ];
    for (n, set) in (1_u128..).zip(odd) {
        let sql = format!("UPDATE jobs SET {set} WHERE id = '{}'", Uuid::from_u128(n));
        bench.store.writer().execute_unprepared(&sql).await.expect("written by hand");
    }
    let ahead = bench.store.jobs_ahead(DUTY, bench.times()).await.expect("asked");
    assert_eq!(ahead.due_in, Some(TimeDelta::zero()));
    let counts = bench.store.job_counts().await.expect("counted");
    assert_eq!(counts.iter().map(|of| of.count).sum::<i64>(), 5);
    let waiting = counts.iter().find(|of| of.is_waiting()).expect("some");
    assert_eq!(waiting.due_since, Some(at(0)));
    assert!(dead_jobs().all(bench.store.reader()).await.expect("read").is_empty());
    let taken = bench.claim("a/1", 9).await;
    let told: Vec<_> = taken.iter().map(|row| (row.id.as_u128(), row.attempts)).collect();
    assert_eq!(told, [(1, i32::MAX), (2, 1), (5, 1)]);
    bench
        .store
        .give_back_jobs(&taken.iter().map(hold).collect::<Vec<_>>(), (at(0), TimeDelta::zero()))
        .await
        .expect("back");
    bench.store.sweep_jobs(at(0), 100).await.expect("swept");
    let dead = dead_jobs().all(bench.store.reader()).await.expect("read");
    assert_eq!(dead.iter().map(|row| row.id.as_u128()).collect::<Vec<_>>(), [4], "it is shown now");
    assert_eq!(bench.claim("b/1", 9).await.len(), 4);
}
