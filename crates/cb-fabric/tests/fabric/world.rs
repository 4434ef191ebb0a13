//! Two servers that share a fabric: in one process, or over a Redis and a NATS of the test's own.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use cb_core::config::ClusterUrls;
use cb_core::ids::ScanId;
use cb_core::{Error, Event, OsEntropy, Result, Secret};
use cb_fabric::{Fabric, FabricState, Heard, Link, Listener};
use cb_testkit::{Nats, Redis, TestClock};
use chrono::TimeDelta;
use futures_util::FutureExt as _;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

/// A machine with too much to do needs longer; nothing waits for it unless something is wrong.
pub const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Embedded,
    Cluster,
}

pub struct World {
    pub a: Fabric,
    pub b: Fabric,
    pub clock: Arc<TestClock>,
    servers: Option<(Redis, Nats)>,
}

impl World {
    pub async fn new(mode: Mode) -> Self {
        let clock = Arc::new(TestClock::new());
        if mode == Mode::Embedded {
            let fabric = Fabric::embedded(clock.clone(), &OsEntropy);
            return Self { a: fabric.clone(), b: fabric, clock, servers: None };
        }
        let servers = (Redis::start(), Nats::start());
        let [a, b] = [(); 2].map(|()| join(servers.0.url(), servers.1.url(), clock.clone()));
        let world = Self { a, b, clock, servers: Some(servers) };
        world.all_up().await;
        hear_each_other(&world.a, &world.b).await;
        world
    }

    pub fn redis(&mut self) -> &mut Redis {
        &mut self.servers.as_mut().expect("a cluster").0
    }

    pub fn redis_command(&self, command: &[&str]) -> String {
        self.servers.as_ref().expect("a cluster").0.command(command)
    }

    pub fn nats(&mut self) -> &mut Nats {
        &mut self.servers.as_mut().expect("a cluster").1
    }

    pub async fn all_up(&self) {
        let shared = [&self.a, &self.b].into_iter().filter(|_| self.servers.is_some());
        for fabric in shared {
            wait_for(fabric, |redis, nats| redis.up && nats.up).await;
        }
    }

    /// For the clock of the test and for that of Redis.
    pub async fn pass(&self, time: Duration) {
        self.clock.advance(TimeDelta::from_std(time).expect("short"));
        if self.servers.is_some() {
            sleep(time).await;
        }
    }

    /// Runs a law that counts while Redis answers in time: on a machine with too much to do it may not, and then each counts by
    /// itself. Then the law is tried again with another key, also when it was broken.
    pub async fn counted_together<T>(&self, law: impl AsyncFn(&str) -> T) -> T {
        for try_number in 0..20 {
            // From before they are up: a link that was lost and is back again may look as it did.
            let states = [self.a.state(), self.b.state()];
            self.all_up().await;
            let answer = AssertUnwindSafe(law(&format!("maria {try_number}"))).catch_unwind().await;
            if states.iter().all(|state| state.has_changed().is_ok_and(|changed| !changed)) {
                return answer.unwrap_or_else(|panic| resume_unwind(panic));
            }
        }
        panic!("Redis never answers in time");
    }
}

/// Until each believes the other. Until then it hears that it missed something.
pub async fn hear_each_other(a: &Fabric, b: &Fabric) {
    for (from, to) in [(a, b), (b, a)] {
        let mut listener = to.bus().listen();
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Another one each time: when it is heard, all before it have been.
            let number = Uuid::new_v4().as_u128();
            from.bus().publish([event(number)]);
            let heard = async { while hear(&mut listener).await != Heard::Event(event(number)) {} };
            if timeout(Duration::from_millis(200), heard).await.is_ok() {
                break;
            }
            assert!(Instant::now() < deadline, "they never hear each other");
        }
    }
}

pub fn join(redis: &str, nats: &str, clock: Arc<TestClock>) -> Fabric {
    join_as("one", redis, nats, clock)
}

pub fn join_as(installation: &str, redis: &str, nats: &str, clock: Arc<TestClock>) -> Fabric {
    let secret = |text: &str| Secret::new(text.to_owned());
    let urls = ClusterUrls { redis: secret(redis), nats: secret(nats) };
    let key = secret("what all servers of the cluster know");
    Fabric::cluster(&urls, &key, installation, clock, Arc::new(OsEntropy)).expect("URLs that can be used")
}

pub fn links(fabric: &Fabric) -> (Link, Link) {
    match fabric.state().borrow().clone() {
        FabricState::Cluster { redis, nats } => (redis, nats),
        FabricState::Embedded => panic!("a cluster"),
    }
}

pub async fn wait_for(fabric: &Fabric, is: impl Fn(&Link, &Link) -> bool) -> (Link, Link) {
    let mut state = fabric.state();
    let waited = timeout(
        PATIENCE,
        state.wait_for(|state| matches!(state, FabricState::Cluster { redis, nats } if is(redis, nats))),
    );
    let come = waited.await.is_ok();
    assert!(come, "it never became so: {:?}", links(fabric));
    links(fabric)
}

/// Until it is true.
pub async fn eventually(what: &str, is: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is().await {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub async fn hear(listener: &mut Listener) -> Heard {
    timeout(PATIENCE, listener.hear()).await.expect("something is heard")
}

/// Everything that is heard up to this event, and it.
pub async fn hear_up_to(listener: &mut Listener, last: &Event) -> Vec<Heard> {
    let mut heard = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{last:?} was never heard");
        let next = hear(listener).await;
        let over = next == Heard::Event(last.clone());
        heard.push(next);
        if over {
            return heard;
        }
    }
}

pub async fn hear_missed(listener: &mut Listener) {
    let deadline = Instant::now() + PATIENCE;
    while !matches!(hear(listener).await, Heard::Missed(_)) {
        assert!(Instant::now() < deadline, "nothing was missed");
    }
}

pub fn events(heard: &[Heard]) -> Vec<Event> {
    let event = |heard: &Heard| match heard {
        Heard::Event(event) => Some(event.clone()),
        _ => None,
    };
    heard.iter().filter_map(event).collect()
}

/// Told apart by a number.
pub fn event(number: u128) -> Event {
    Event::ScanChanged { id: ScanId::from(Uuid::from_u128(number)) }
}

/// The wait, when it is not let in.
pub fn wait_of(entered: Result<()>) -> Option<Duration> {
    match entered {
        Ok(()) => None,
        Err(Error::RateLimited { retry_after }) => Some(retry_after),
        Err(other) => panic!("{other}"),
    }
}
