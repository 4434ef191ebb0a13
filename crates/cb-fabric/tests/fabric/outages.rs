//! What a cluster does when Redis or NATS are away, hang, refuse, are empty, or say what is not true.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cb_core::{Entropy, Event, OsEntropy};
use cb_fabric::{Fabric, Heard, Link};
use cb_testkit::{Nats, Redis, TestClock};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::world::{
    Mode, PATIENCE, World, event, events, eventually, hear, hear_missed, hear_up_to, join, join_as, links,
    wait_for, wait_of,
};

const TTL: Duration = Duration::from_hours(1);

fn two() -> NonZeroU32 {
    NonZeroU32::new(2).expect("not zero")
}

fn down(link: &Link, says: &str) -> bool {
    !link.up && link.error.as_deref().is_some_and(|error| error.contains(says))
}

/// Events of each are heard by the other, and caches remember.
async fn all_is_as_before(world: &World) {
    world.all_up().await;
    for (from, to) in [(&world.a, &world.b), (&world.b, &world.a)] {
        let mut listener = to.bus().listen();
        // What was said before may still fill the queue, and then an event finds no room.
        let deadline = Instant::now() + PATIENCE;
        loop {
            from.bus().publish([event(77)]);
            let hear = async { while hear(&mut listener).await != Heard::Event(event(77)) {} };
            if timeout(Duration::from_millis(500), hear).await.is_ok() {
                break;
            }
            assert!(Instant::now() < deadline, "no event is heard");
        }
        let cache = to.cache::<u32>("after", 10, TTL);
        eventually("it is remembered", async || {
            let _ = cache.get_or_read("k", async || Ok::<_, ()>(1)).await;
            cache.get("k").is_some()
        })
        .await;
    }
    let (a, b) = (world.a.rate("after", two()), world.b.rate("after", two()));
    // A key that nobody has used: it may be called twice within a minute.
    let once = (&OsEntropy as &dyn Entropy).token();
    world
        .counted_together(async |key| {
            let key = &format!("{key} {once}");
            assert!(a.enter(key).await.is_ok() && b.enter(key).await.is_ok());
            assert!(a.enter(key).await.is_err() && b.enter(key).await.is_err());
        })
        .await;
}

/// While NATS is away: this process hears itself at once, everybody reads afresh again and again, nothing is remembered.
async fn slower_but_never_wrong(fabric: &Fabric) {
    let mut listener = fabric.bus().listen();
    let cache = fabric.cache::<u32>("sessions", 10, TTL);
    fabric.bus().publish([Event::StorageChanged]);
    let heard = hear_up_to(&mut listener, &Event::StorageChanged).await;
    assert_eq!(events(&heard).len(), 1);
    for _ in 0..2 {
        let _ = cache.get_or_read("k", async || Ok::<_, ()>(1)).await;
        assert_eq!(cache.get("k"), None);
        hear_missed(&mut listener).await;
    }
    // Who sleeps looks by itself.
    timeout(PATIENCE, fabric.sleeper("scan").sleep(100 * PATIENCE)).await.expect("woken");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_is_killed_and_comes_back_empty() {
    let mut world = World::new(Mode::Cluster).await;
    let cache = world.b.cache::<u32>("sessions", 10, TTL);
    eventually("it is remembered", async || {
        let _ = cache.get_or_read("k", async || Ok::<_, ()>(1)).await;
        cache.get("k").is_some()
    })
    .await;
    let mut listener = world.b.bus().listen();
    world.nats().kill();
    for fabric in [&world.b, &world.a] {
        wait_for(fabric, |_, nats| !nats.up).await;
        assert_eq!(cache.get("k"), None, "what was remembered may be wrong");
        slower_but_never_wrong(fabric).await;
        assert_eq!(fabric.state().borrow().degraded().len(), 1);
    }
    hear_missed(&mut listener).await;
    // Said while nobody was heard: a gap, and no event from the past.
    world.a.bus().publish((0..10).map(event));
    world.nats().start_again();
    all_is_as_before(&world).await;
    let heard = hear_up_to(&mut listener, &event(77)).await;
    assert!(heard.iter().any(|heard| matches!(heard, Heard::Missed(_))), "{heard:?}");
    assert!(!events(&heard).contains(&event(3)), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_hangs_and_goes_on() {
    let mut world = World::new(Mode::Cluster).await;
    world.nats().pause();
    for fabric in [&world.a, &world.b] {
        wait_for(fabric, |_, nats| down(nats, "does not answer")).await;
        slower_but_never_wrong(fabric).await;
    }
    world.nats().resume();
    all_is_as_before(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_never_waits_and_what_finds_no_room_is_missed() {
    let mut world = World::new(Mode::Cluster).await;
    let mut there = world.b.bus().listen();
    world.nats().pause();
    // More than every queue on the way holds.
    for number in 0..200_000 {
        world.a.bus().publish([event(number)]);
    }
    world.nats().resume();
    world.all_up().await;
    hear_missed(&mut there).await;
    all_is_as_before(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_killed_and_each_counts_by_itself_from_where_it_was() {
    let mut world = World::new(Mode::Cluster).await;
    let (a, b) = (world.a.rate("hooks", two()), world.b.rate("hooks", two()));
    let (guess, guess_b) = (world.a.throttle(), world.b.throttle());
    let used = world
        .counted_together(async |key| {
            // B uses it up; A only hears that.
            assert!(b.enter(key).await.is_ok() && b.enter(key).await.is_ok());
            assert!(a.enter(key).await.is_err());
            for _ in 0..30 {
                if guess_b.enter([key]).await.is_err() {
                    break;
                }
            }
            assert!(guess.enter([key]).await.is_err());
            key.to_owned()
        })
        .await;
    world.redis().kill();
    wait_for(&world.a, |redis, _| !redis.up).await;
    assert!(wait_of(a.enter(&used).await).is_some(), "it stays used up");
    assert!(wait_of(guess.enter([&used]).await).is_some(), "it still waits");
    // Never unlimited.
    let mut let_in = 0;
    for _ in 0..20 {
        let_in += u32::from(a.enter("new").await.is_ok());
    }
    assert_eq!(let_in, 2);
    let mut let_in = 0;
    for _ in 0..20 {
        let_in += u32::from(guess.enter(["new"]).await.is_ok());
    }
    assert_eq!(let_in, 5);
    guess.forgive("new").await;
    assert!(guess.enter(["new"]).await.is_ok());
    assert!(world.a.state().borrow().degraded()[0].contains("Each server counts by itself"));
    world.redis().start_again();
    all_is_as_before(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_hangs_and_nobody_waits_for_it() {
    let mut world = World::new(Mode::Cluster).await;
    let rate = world.a.rate("hooks", two());
    world.redis().pause();
    let mut let_in = 0;
    for _ in 0..200 {
        let entered = timeout(PATIENCE, rate.enter("k")).await.expect("the wait has a bound");
        let_in += u32::from(entered.is_ok());
    }
    assert_eq!(let_in, 2);
    let (redis, _) = wait_for(&world.a, |redis, _| !redis.up).await;
    assert!(down(&redis, "does not answer"), "{redis:?}");
    world.redis().resume();
    all_is_as_before(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_full_or_a_replica_and_recovers() {
    let mut world = World::new(Mode::Cluster).await;
    let rate = world.a.rate("hooks", two());
    for (breaks, says, mends) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], "out of memory", &["CONFIG", "SET", "maxmemory", "0"][..]),
        (&["REPLICAOF", "127.0.0.1", "1"], "read-only replica", &["REPLICAOF", "NO", "ONE"]),
    ] {
        world.redis().command(breaks);
        wait_for(&world.a, |redis, _| down(redis, says)).await;
        let mut let_in = 0;
        for _ in 0..10 {
            let_in += u32::from(rate.enter(says).await.is_ok());
        }
        assert_eq!(let_in, 2, "{says}");
        world.redis().command(mends);
        all_is_as_before(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_forgets_everything_and_the_scripts_too() {
    let mut world = World::new(Mode::Cluster).await;
    for _ in 0..3 {
        let rate = world.a.rate("hooks", two());
        let _ = rate.enter("k").await;
        world.redis().command(&["FLUSHALL"]);
        world.redis().command(&["SCRIPT", "FLUSH"]);
        all_is_as_before(&world).await;
    }
}

/// Somebody has the password of Redis and wants more guesses, or none for others.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_into_redis_gains_no_guesses() {
    let world = World::new(Mode::Cluster).await;
    let write = |failures: &str, rested: &str| {
        for key in world.redis_command(&["KEYS", "*"]).lines() {
            if key.contains(":rate:") {
                world.redis_command(&["SET", key, rested]);
            } else if key.contains(":throttle:") {
                world.redis_command(&["HSET", key, "failures", failures, "open", rested]);
            }
        }
    };
    for (n, (failures, rested)) in
        [("", ""), ("-1000000000", "0"), ("nan", "nan"), ("-inf", "-inf"), ("0", "x")].into_iter().enumerate()
    {
        let (rate, throttle, key) = (world.a.rate("hooks", two()), world.a.throttle(), format!("k{n}"));
        let mut let_in = (0, 0);
        for _ in 0..30 {
            let_in.0 += u32::from(rate.enter(&key).await.is_ok());
            let_in.1 += u32::from(throttle.enter([&key]).await.is_ok());
            if failures.is_empty() {
                world.redis_command(&["FLUSHALL"]);
            } else {
                write(failures, rested);
            }
        }
        assert_eq!(let_in, (2, 5), "{failures} {rested}");
    }
    // What is no number, or less than none, is nothing counted: both together are let in no more often than one.
    for failures in ["-1000000000", "nan", "-inf"] {
        let (a, b) = (world.a.throttle(), world.b.throttle());
        let let_in = world
            .counted_together(async |key| {
                world.redis_command(&["FLUSHALL"]);
                assert!(a.enter([key]).await.is_ok());
                write(failures, failures);
                let mut let_in = 0;
                for _ in 0..20 {
                    let_in += u32::from(a.enter([key]).await.is_ok());
                    let_in += u32::from(b.enter([key]).await.is_ok());
                }
                let_in
            })
            .await;
        assert_eq!(let_in, 5, "{failures}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_in_redis_expires_and_says_nothing() {
    let mut world = World::new(Mode::Cluster).await;
    let (rate, throttle) = (world.a.rate("hooks", two()), world.a.throttle());
    world
        .counted_together(async |key| {
            for _ in 0..8 {
                let _ = rate.enter(key).await;
                let _ = throttle.enter([key]).await;
            }
            throttle.spare(key).await;
        })
        .await;
    let keys = world.redis().command(&["KEYS", "*"]);
    assert!(keys.contains(":throttle:") && keys.contains(":rate:hooks:"), "{keys}");
    assert!(!keys.contains("maria"), "{keys}");
    for key in keys.lines() {
        let rest: i64 = world.redis().command(&["PTTL", key]).parse().expect("a number");
        // -2: it has ended since.
        assert!(rest == -2 || (1..=3_600_000).contains(&rest), "{key} {rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_far_ahead_in_redis_is_not_believed() {
    let mut world = World::new(Mode::Cluster).await;
    let (rate, throttle) = (world.a.rate("hooks", two()), world.a.throttle());
    world
        .counted_together(async |key| {
            let _ = rate.enter(key).await;
            for _ in 0..6 {
                let _ = throttle.enter([key]).await;
            }
        })
        .await;
    // As if the clock of Redis had been set back by years.
    for key in world.redis().command(&["KEYS", "*"]).lines() {
        if key.contains(":rate:") {
            world.redis().command(&["SET", key, "9000000000000000", "KEEPTTL"]);
        } else if key.contains(":throttle:") {
            world.redis().command(&["HSET", key, "open", "9000000000000"]);
        }
    }
    for number in 0..20 {
        let key = format!("maria {number}");
        if let Some(wait) = wait_of(rate.enter(&key).await) {
            assert!(wait <= Duration::from_secs(30), "{wait:?}");
        }
        if let Some(wait) = wait_of(throttle.enter([&key]).await) {
            assert!(wait <= Duration::from_mins(15), "{wait:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_are_said_without_them_and_the_server_works() {
    let (redis, nats) = (Redis::start(), Nats::start());
    let wrong = |url: &str, password: &str| url.replace(password, "sesame-street");
    let fabric = join(
        &wrong(redis.url(), redis.password()),
        &wrong(nats.url(), nats.password()),
        Arc::new(TestClock::new()),
    );
    let (redis_link, nats_link) =
        wait_for(&fabric, |redis, nats| redis.error.is_some() && nats.error.is_some()).await;
    assert!(down(&redis_link, "refuses the user or the password"), "{redis_link:?}");
    assert!(down(&nats_link, "refuses the user or the password"), "{nats_link:?}");
    for said in fabric.state().borrow().degraded() {
        assert!(!said.contains("sesame"), "{said}");
    }
    slower_but_never_wrong(&fabric).await;
    let rate = fabric.rate("hooks", two());
    assert!(rate.enter("k").await.is_ok() && rate.enter("k").await.is_ok() && rate.enter("k").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_absent_at_the_start_are_found_later() {
    let (mut redis, mut nats) = (Redis::start(), Nats::start());
    redis.stop();
    nats.stop();
    let fabric = join(redis.url(), nats.url(), Arc::new(TestClock::new()));
    let (redis_link, nats_link) =
        wait_for(&fabric, |redis, nats| redis.error.is_some() && nats.error.is_some()).await;
    assert!(down(&redis_link, "Nothing listens"), "{redis_link:?}");
    assert!(down(&nats_link, "Nothing listens"), "{nats_link:?}");
    slower_but_never_wrong(&fabric).await;
    redis.start_again();
    nats.start_again();
    wait_for(&fabric, |redis, nats| redis.up && nats.up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_accept_and_never_answer_are_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("bound").port();
    let fabric = join(
        &format!("redis://:p@127.0.0.1:{port}"),
        &format!("nats://cb:p@127.0.0.1:{port}"),
        Arc::new(TestClock::new()),
    );
    let (redis, nats) = wait_for(&fabric, |redis, nats| redis.error.is_some() && nats.error.is_some()).await;
    assert!(down(&redis, "does not answer") && down(&nats, "does not answer"), "{redis:?} {nats:?}");
    slower_but_never_wrong(&fabric).await;
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_speak_something_else_are_said() {
    // Each at the other's port, and TLS where there is none.
    let (redis, nats) = (Redis::start(), Nats::start());
    let at = |url: &str, port: u16| {
        let mut url = Url::parse(url).expect("a URL");
        url.set_port(Some(port)).expect("a port");
        url.to_string()
    };
    for (redis_url, nats_url) in [
        (at(redis.url(), nats.port()), at(nats.url(), redis.port())),
        (redis.url().replace("redis://", "rediss://"), nats.url().replace("nats://", "tls://")),
    ] {
        let fabric = join(&redis_url, &nats_url, Arc::new(TestClock::new()));
        let (a, b) = wait_for(&fabric, |redis, nats| redis.error.is_some() && nats.error.is_some()).await;
        if redis_url.starts_with("rediss://") {
            assert!(down(&a, "If it speaks no TLS, begin CB_REDIS_URL with redis://"), "{a:?}");
            assert!(down(&b, "If this NATS speaks no TLS, begin CB_NATS_URL with nats://"), "{b:?}");
        }
        for said in [a.error, b.error].into_iter().flatten() {
            assert!(!said.contains(redis.password()) && !said.contains(nats.password()), "{said}");
            assert!(said.ends_with('.') && !said.contains('\n') && said.len() < 300, "{said}");
        }
        slower_but_never_wrong(&fabric).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_subscribe_is_said() {
    let deaf = "permissions: { publish: \">\", subscribe: { deny: \">\" } }";
    let (redis, nats) = (Redis::start(), Nats::with(deaf));
    let fabric = join(redis.url(), nats.url(), Arc::new(TestClock::new()));
    wait_for(&fabric, |_, nats| down(nats, "does not permit")).await;
    slower_but_never_wrong(&fabric).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_long_is_missed_by_the_others() {
    let world = World::new(Mode::Cluster).await;
    let ids = (0..5_000).map(|n| cb_core::ids::AssetId::from(uuid::Uuid::from_u128(n))).collect();
    let long = Event::PositionsChanged { ids };
    let (mut here, mut there) = (world.a.bus().listen(), world.b.bus().listen());
    world.a.bus().publish([long.clone()]);
    hear_up_to(&mut here, &long).await;
    hear_missed(&mut there).await;
    all_is_as_before(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn installations_with_one_secret_neither_hear_each_other_nor_count_together() {
    let mut world = World::new(Mode::Cluster).await;
    let (redis, nats) = (world.redis().url().to_owned(), world.nats().url().to_owned());
    // A copy of the database has the same secret.
    let copy = join_as("two", &redis, &nats, Arc::new(TestClock::new()));
    wait_for(&copy, |redis, nats| redis.up && nats.up).await;
    let (mut ours, mut theirs) = (world.b.bus().listen(), copy.bus().listen());
    copy.bus().publish([event(1)]);
    hear_up_to(&mut theirs, &event(1)).await;
    world.a.bus().publish([event(2)]);
    assert_eq!(events(&hear_up_to(&mut ours, &event(2)).await), [event(2)]);
    while let Ok(heard) = timeout(Duration::from_secs(2), theirs.hear()).await {
        assert!(matches!(heard, Heard::Missed(_)), "{heard:?}");
    }
    let (rate, other) = (world.a.rate("hooks", two()), copy.rate("hooks", two()));
    for _ in 0..10 {
        let _ = rate.enter("maria").await;
    }
    assert!(other.enter("maria").await.is_ok() && other.enter("maria").await.is_ok());
    assert!(links(&copy).0.up);
}
