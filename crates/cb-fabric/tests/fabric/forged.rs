//! What somebody can do who has only the password of NATS; and what becomes of a server that dies before it has told what it did.

use std::time::{Duration, Instant};

use async_nats::{Client, ConnectOptions, Message, Subscriber};
use cb_core::Event;
use cb_fabric::{Heard, Listener};
use cb_testkit::Nats;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use crate::world::{Mode, PATIENCE, World, event, hear, hear_each_other, hear_up_to, join, wait_for};

const TTL: Duration = Duration::from_hours(1);

/// Has the password of NATS, and hears everything.
struct Stranger {
    client: Client,
    all: Subscriber,
    /// What all servers of the cluster listen to.
    prefix: String,
}

impl Stranger {
    async fn new(nats: &Nats) -> Self {
        let known = ConnectOptions::with_user_and_password("cb".to_owned(), nats.password().to_owned());
        let at = format!("nats://127.0.0.1:{}", nats.port());
        let client = known.connect(at).await.expect("connected");
        let mut all = client.subscribe("circuit-breaker.>").await.expect("subscribed");
        let first = timeout(PATIENCE, all.next()).await.expect("a beat").expect("a message");
        let (prefix, _) = first.subject.rsplit_once('.').expect("a prefix and a server");
        let prefix = prefix.to_owned();
        Self { client, all, prefix }
    }

    async fn say(&self, subject: impl Into<String>, message: impl AsRef<[u8]>) {
        let bytes = message.as_ref().to_vec();
        self.client.publish(subject.into(), bytes.into()).await.expect("published");
        self.client.flush().await.expect("sent");
    }

    /// As messages were before they had tags, as they are with a wrong tag, and one of another server with this sender.
    async fn forge(&mut self, subject: &str, notes: &str) {
        self.say(subject, notes).await;
        self.say(subject, [&[7; 32][..], &u64::MAX.to_be_bytes(), notes.as_bytes()].concat()).await;
        loop {
            let real = timeout(PATIENCE, self.all.next()).await.expect("a beat").expect("a message");
            if *real.subject != *subject && real.payload.len() > 40 {
                self.say(subject, [&real.payload[..40], notes.as_bytes()].concat()).await;
                return self.say(subject, &real.payload).await;
            }
        }
    }

    /// Everything that is said while this runs, up to what has these `words` in it.
    async fn record(&mut self, words: &str, what: impl Future<Output = ()>) -> Vec<Message> {
        while timeout(Duration::ZERO, self.all.next()).await.is_ok() {}
        what.await;
        let mut recorded: Vec<Message> = Vec::new();
        while recorded.last().is_none_or(|last| !String::from_utf8_lossy(&last.payload).contains(words)) {
            recorded.push(timeout(PATIENCE, self.all.next()).await.expect(words).expect("a message"));
        }
        recorded
    }

    async fn play(&self, recorded: &[Message]) {
        for message in recorded {
            self.say(message.subject.to_string(), &message.payload).await;
        }
    }
}

/// What is heard until nothing has been heard for a second.
async fn rest(listener: &mut Listener) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Ok(next) = timeout(Duration::from_secs(1), listener.hear()).await {
        heard.push(next);
        assert!(heard.len() < 1000, "each is told");
    }
    heard
}

/// Something was missed, and nothing else is heard.
async fn nothing_but_missed(listener: &mut Listener) {
    let first = hear(listener).await;
    let heard = rest(listener).await;
    for heard in [first].into_iter().chain(heard) {
        assert!(matches!(heard, Heard::Missed(_)), "{heard:?}");
    }
}

async fn each_still_hears_the_other(world: &World) {
    world.all_up().await;
    hear_each_other(&world.a, &world.b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_good_tag_is_missed_and_does_nothing_else() {
    let mut world = World::new(Mode::Cluster).await;
    let mut stranger = Stranger::new(world.nats()).await;
    let real = timeout(PATIENCE, stranger.all.next()).await.expect("a beat").expect("a message").subject;
    let new = format!("{}.00000000000000000000000000000001", stranger.prefix);
    let nobody = format!("{}.nobody", stranger.prefix);
    let wake = r#"[{"seq":1,"said":{"wake":"scan"}}]"#;
    let told =
        r#"[{"seq":1,"said":{"event":{"event":"storage_changed"}}},{"seq":1,"said":{"beat":{"knows":[]}}}]"#;
    let mut listener = world.b.bus().listen();
    for subject in [real.to_string(), new, nobody] {
        for notes in ["", "not JSON", "{}", wake, told] {
            stranger.forge(&subject, notes).await;
        }
        nothing_but_missed(&mut listener).await;
    }
    each_still_hears_the_other(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strange_messages_is_no_flood_of_reading() {
    let mut world = World::new(Mode::Cluster).await;
    let mut stranger = Stranger::new(world.nats()).await;
    // Good messages that were heard before are strange, too.
    let mut real = stranger.record("wake", async { world.a.wake("scan") }).await;
    real.drain(..real.len() - 1);
    let (mut listener, mut sleeper) = (world.b.bus().listen(), world.b.sleeper("scan"));
    let cache = world.b.cache::<u32>("sessions", 10, TTL);
    let (mut missed, mut woken, mut forgotten) = (0u64, 0u64, 0u64);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(6) {
        for _ in 0..500 {
            for subject in [format!("{}.nobody", stranger.prefix), real[0].subject.to_string()] {
                let wake = r#"[{"seq":1,"said":{"wake":"scan"}}]"#;
                stranger.client.publish(subject, wake.into()).await.expect("published");
            }
            let again = real[0].payload.clone();
            stranger.client.publish(real[0].subject.clone(), again).await.expect("published");
        }
        stranger.client.flush().await.expect("sent");
        while timeout(Duration::from_millis(1), listener.hear()).await.is_ok() {
            missed += 1;
        }
        woken += u64::from(timeout(Duration::from_millis(1), sleeper.sleep(TTL)).await.is_ok());
        if cache.get("k").is_none() {
            forgotten += 1;
            cache.put(&cache.ticket("k"), 1);
        }
    }
    // As often as while NATS is away. A link that was lost under the flood adds a few.
    let most = 4 + began.elapsed().as_secs();
    for (what, times) in [("missed", missed), ("woken", woken), ("forgotten", forgotten)] {
        assert!((1..=most).contains(&times), "{what} {times} times, at most {most}");
    }
    let refused = world.b.bus().unheard().refused.get();
    assert!(refused > 500, "each is counted: {refused}");
    each_still_hears_the_other(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_heard_once_is_not_heard_again() {
    let mut world = World::new(Mode::Cluster).await;
    let mut stranger = Stranger::new(world.nats()).await;
    let mut listener = world.b.bus().listen();
    let said = stranger
        .record("storage_changed", async { world.a.bus().publish([event(5), Event::StorageChanged]) })
        .await;
    hear_up_to(&mut listener, &Event::StorageChanged).await;
    rest(&mut listener).await;
    stranger.play(&said).await;
    nothing_but_missed(&mut listener).await;
    each_still_hears_the_other(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_a_server_that_is_gone_is_not_believed_by_a_new_one() {
    let mut world = World::new(Mode::Cluster).await;
    let mut stranger = Stranger::new(world.nats()).await;
    let (redis, nats) = (world.redis().url().to_owned(), world.nats().url().to_owned());
    let gone = join(&redis, &nats, world.clock.clone());
    wait_for(&gone, |redis, nats| redis.up && nats.up).await;
    hear_each_other(&gone, &world.a).await;
    let said =
        stranger.record("storage_changed", async { gone.bus().publish([Event::StorageChanged]) }).await;
    gone.leave().await;
    drop(gone);
    let new = join(&redis, &nats, world.clock.clone());
    wait_for(&new, |redis, nats| redis.up && nats.up).await;
    hear_each_other(&new, &world.a).await;
    let mut listener = new.bus().listen();
    stranger.play(&said).await;
    nothing_but_missed(&mut listener).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_is_missed_and_one_that_stops_is_not() {
    let mut world = World::new(Mode::Cluster).await;
    let (redis, nats) = (world.redis().url().to_owned(), world.nats().url().to_owned());
    for killed in [false, true] {
        let other = join(&redis, &nats, world.clock.clone());
        wait_for(&other, |redis, nats| redis.up && nats.up).await;
        hear_each_other(&other, &world.b).await;
        let mut listener = world.b.bus().listen();
        other.bus().publish([event(6)]);
        hear_up_to(&mut listener, &event(6)).await;
        rest(&mut listener).await;
        if !killed {
            timeout(PATIENCE, other.leave()).await.expect("left");
        }
        drop(other);
        let heard = timeout(Duration::from_secs(8), listener.hear()).await;
        if killed {
            assert!(matches!(heard, Ok(Heard::Missed(_))), "{heard:?}");
        } else {
            assert!(heard.is_err(), "{heard:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_is_told_before_what_shows_it() {
    let world = World::new(Mode::Cluster).await;
    let mut there = world.b.bus().listen();
    rest(&mut there).await;
    let ids = (0..5_000).map(|n| cb_core::ids::AssetId::from(uuid::Uuid::from_u128(n))).collect();
    // Longer than a message may be.
    world.a.bus().publish([Event::PositionsChanged { ids }, event(9)]);
    assert!(matches!(hear(&mut there).await, Heard::Missed(_)));
    assert_eq!(hear(&mut there).await, Heard::Event(event(9)));
}
