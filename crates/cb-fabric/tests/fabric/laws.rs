//! What holds in both modes.

use std::num::NonZeroU32;
use std::time::Duration;

use cb_core::Event;
use cb_fabric::{FabricState, Heard, Key};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::world::{Mode, PATIENCE, World, event, events, eventually, hear_missed, hear_up_to, wait_of};

/// Each law is a function that takes a world.
macro_rules! laws {
    ($($law:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                super::$law(super::World::new(super::Mode::Embedded).await).await;
            })*
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $law() {
                super::$law(super::World::new(super::Mode::Cluster).await).await;
            })*
        }
    };
}

laws!(
    every_listener_hears_each_event_once_and_in_order,
    a_slow_listener_is_told_that_it_missed_something,
    who_sleeps_is_woken_and_no_wake_up_before_is_lost,
    a_rate_is_one_for_all_servers,
    of_many_at_once_no_more_are_let_in,
    a_throttle_doubles_the_wait_at_all_servers_and_is_forgiven,
    what_strangers_share_is_free_for_longer_and_a_right_one_is_spared,
    of_many_guesses_at_once_no_more_are_let_in,
    one_key_that_has_to_wait_counts_none,
    a_cache_remembers_for_its_time_and_forgets_everywhere,
    what_was_read_before_it_was_to_be_forgotten_is_not_remembered,
    the_state_says_that_all_is_well,
    listeners_hear_the_end,
);

fn most(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("not zero")
}

async fn every_listener_hears_each_event_once_and_in_order(world: World) {
    let (mut here, mut there) = (world.a.bus().listen(), world.b.bus().listen());
    let sent: Vec<Event> = (0..200).map(event).collect();
    world.a.bus().publish(sent.clone());
    assert_eq!(events(&hear_up_to(&mut there, &event(199)).await), sent);
    // By the time that the answer is here, so is whatever else was on its way.
    world.b.bus().publish([Event::StorageChanged]);
    let heard = events(&hear_up_to(&mut here, &Event::StorageChanged).await);
    assert_eq!(heard[..200], sent);
    assert_eq!(heard[200..], [Event::StorageChanged]);
}

async fn a_slow_listener_is_told_that_it_missed_something(world: World) {
    let mut slow = world.b.bus().listen();
    let mut quick = world.b.bus().listen();
    world.a.bus().publish((0..3000).map(event));
    world.a.bus().publish([Event::StorageChanged]);
    hear_up_to(&mut quick, &Event::StorageChanged).await;
    hear_missed(&mut slow).await;
    hear_up_to(&mut slow, &Event::StorageChanged).await;
}

async fn who_sleeps_is_woken_and_no_wake_up_before_is_lost(world: World) {
    let mut sleepers = [world.a.sleeper("scan"), world.b.sleeper("scan")];
    for _ in 0..3 {
        world.a.wake("scan");
        for sleeper in &mut sleepers {
            // Far longer than the patience: only a wake-up ends it.
            timeout(PATIENCE, sleeper.sleep(100 * PATIENCE)).await.expect("woken");
        }
    }
    sleepers[0].sleep(Duration::from_millis(1)).await;
}

async fn a_rate_is_one_for_all_servers(world: World) {
    let (a, b) = (world.a.rate("hooks", most(2)), world.b.rate("hooks", most(2)));
    // Another name counts by itself. Embedded, the two are one rate per object.
    let other = world.b.rate("others", most(2));
    let b = if world.a.state().borrow().clone() == FabricState::Embedded { &a } else { &b };
    world
        .counted_together(async |key| {
            assert_eq!(wait_of(a.enter(key).await), None);
            assert_eq!(wait_of(b.enter(key).await), None);
            for rate in [&a, b] {
                let wait = wait_of(rate.enter(key).await).expect("used up");
                assert!(wait <= Duration::from_secs(30), "{wait:?}");
            }
            assert_eq!(wait_of(b.enter(&format!("not {key}")).await), None);
            assert_eq!(wait_of(other.enter(key).await), None);
        })
        .await;
}

async fn of_many_at_once_no_more_are_let_in(world: World) {
    let rates = [world.a.rate("hooks", most(4)), world.b.rate("hooks", most(4))].map(std::sync::Arc::new);
    let embedded = *world.a.state().borrow() == FabricState::Embedded;
    let let_in = world
        .counted_together(async |key| {
            let mut tries = JoinSet::new();
            for n in 0..64 {
                let (rate, key) = (rates[if embedded { 0 } else { n % 2 }].clone(), key.to_owned());
                tries.spawn(async move { rate.enter(&key).await.is_ok() });
            }
            tries.join_all().await.into_iter().filter(|ok| *ok).count()
        })
        .await;
    assert_eq!(let_in, 4);
}

async fn a_throttle_doubles_the_wait_at_all_servers_and_is_forgiven(world: World) {
    let a = world.a.throttle();
    let b = if *world.a.state().borrow() == FabricState::Embedded { None } else { Some(world.b.throttle()) };
    let b = b.as_ref().unwrap_or(&a);
    world
        .counted_together(async |key| {
            let mut counted = Instant::now();
            for throttle in [&a, b, &a, b, &a] {
                counted = Instant::now();
                assert_eq!(wait_of(throttle.enter([key]).await), None);
            }
            for longest in [Duration::from_secs(2), Duration::from_secs(4)] {
                for throttle in [&a, b] {
                    match wait_of(throttle.enter([key]).await) {
                        Some(wait) => assert!(wait <= longest, "{wait:?}"),
                        // The machine stood still for so long that the wait was over.
                        None => return assert!(counted.elapsed() >= longest, "it waits {longest:?}"),
                    }
                }
                world.pass(longest + Duration::from_millis(50)).await;
                counted = Instant::now();
                assert_eq!(wait_of(b.enter([key]).await), None, "the wait of {longest:?} is over");
            }
            let mut listener = world.a.bus().listen();
            b.forgive(key).await;
            // What one server says is heard in its order.
            let behind = event(Uuid::new_v4().as_u128());
            world.b.bus().publish([behind.clone()]);
            hear_up_to(&mut listener, &behind).await;
            for _ in 0..5 {
                assert_eq!(wait_of(a.enter([key]).await), None, "the other server forgives it too");
            }
        })
        .await;
}

async fn what_strangers_share_is_free_for_longer_and_a_right_one_is_spared(world: World) {
    let a = world.a.throttle();
    let b = if *world.a.state().borrow() == FabricState::Embedded { None } else { Some(world.b.throttle()) };
    let b = b.as_ref().unwrap_or(&a);
    world
        .counted_together(async |key| {
            for _ in 0..20 {
                assert_eq!(wait_of(a.enter([Key::together(key)]).await), None);
            }
            assert!(wait_of(b.enter([Key::together(key)]).await).is_some());
            a.spare(key).await;
            assert_eq!(wait_of(a.enter([Key::together(key)]).await), None);
            // Taken back to nothing is as if it had never been.
            let alone = format!("alone {key}");
            for _ in 0..12 {
                assert_eq!(wait_of(b.enter([&alone]).await), None);
                b.spare(&alone).await;
            }
        })
        .await;
}

async fn of_many_guesses_at_once_no_more_are_let_in(world: World) {
    let throttles = [world.a.throttle(), world.b.throttle()].map(std::sync::Arc::new);
    let embedded = *world.a.state().borrow() == FabricState::Embedded;
    let let_in = world
        .counted_together(async |key| {
            let mut tries = JoinSet::new();
            for n in 0..64 {
                let (throttle, key) = (throttles[if embedded { 0 } else { n % 2 }].clone(), key.to_owned());
                tries.spawn(async move { throttle.enter([&key]).await.is_ok() });
            }
            tries.join_all().await.into_iter().filter(|ok| *ok).count()
        })
        .await;
    assert_eq!(let_in, 5);
}

async fn one_key_that_has_to_wait_counts_none(world: World) {
    let throttle = world.a.throttle();
    world
        .counted_together(async |key| {
            let other = format!("other {key}");
            for _ in 0..5 {
                assert_eq!(wait_of(throttle.enter([key]).await), None);
            }
            for _ in 0..10 {
                assert!(wait_of(throttle.enter([key, &other]).await).is_some());
            }
            for _ in 0..5 {
                assert_eq!(wait_of(throttle.enter([&other]).await), None);
            }
        })
        .await;
}

async fn a_cache_remembers_for_its_time_and_forgets_everywhere(world: World) {
    let ttl = Duration::from_hours(1);
    let (a, b) = (world.a.cache::<u32>("sessions", 10, ttl), world.b.cache::<u32>("sessions", 10, ttl));
    let others = world.b.cache::<u32>("others", 10, ttl);
    let remember = async |number: u32| {
        // Something may be missed at any moment, and then all is forgotten.
        for cache in [&a, &b, &others] {
            eventually("it is remembered", async || {
                let _ = cache.get_or_read("k", async || Ok::<_, ()>(number)).await;
                cache.get("k") == Some(number)
            })
            .await;
        }
    };
    remember(1).await;
    a.forget("k");
    assert_eq!(a.get("k"), None, "at once where it is said");
    eventually("the other forgets", async || b.get("k").is_none()).await;
    b.forget("k");
    others.forget("k");
    remember(2).await;
    b.forget_all();
    assert_eq!(b.get("k"), None);
    eventually("the other forgets", async || a.get("k").is_none()).await;
    others.forget("k");
    remember(3).await;
    world.clock.advance(chrono::TimeDelta::hours(2));
    assert_eq!((a.get("k"), b.get("k")), (None, None), "its time is over");
}

async fn what_was_read_before_it_was_to_be_forgotten_is_not_remembered(world: World) {
    let ttl = Duration::from_hours(1);
    let (a, b) = (world.a.cache::<u32>("sessions", 10, ttl), world.b.cache::<u32>("sessions", 10, ttl));
    let ticket = a.ticket("k");
    a.forget("k");
    a.put(&ticket, 1);
    assert_eq!(a.get("k"), None);
    // The other hears it while it reads.
    eventually("a read that began before is not remembered", async || {
        let ticket = b.ticket("k");
        a.forget("k");
        tokio::time::sleep(Duration::from_millis(200)).await;
        b.put(&ticket, 1);
        let remembered = b.get("k");
        b.forget("k");
        remembered.is_none()
    })
    .await;
    // Its time counts from before the read.
    let ticket = a.ticket("l");
    world.clock.advance(chrono::TimeDelta::hours(2));
    a.put(&ticket, 1);
    assert_eq!(a.get("l"), None);
}

async fn the_state_says_that_all_is_well(world: World) {
    assert!(world.a.state().borrow().degraded().is_empty());
}

async fn listeners_hear_the_end(world: World) {
    let mut listener = world.a.bus().listen();
    drop(world);
    eventually_closed(&mut listener).await;
}

async fn eventually_closed(listener: &mut cb_fabric::Listener) {
    let closed = async { while listener.hear().await != Heard::Closed {} };
    timeout(PATIENCE, closed).await.expect("the end is heard");
}
