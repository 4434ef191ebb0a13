//! Passkeys over the real listener, with an authenticator in software.

use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::TimeDelta;
use rstest::rstest;
use serde_json::{Value, json};

use crate::authenticator::Authenticator;
use crate::identity::PASSWORD;
use crate::site::{Answer, Login, Site};

impl Site {
    /// Adds a passkey to the session's user; answers it and what the server said.
    pub async fn register_passkey(&self, by: &Login, seed: u8) -> (Authenticator, Answer) {
        let mut key = Authenticator::new(&self.origin(), seed);
        let begun = self.post(by, "/api/v1/auth/passkeys/registration", json!({})).await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let begun = begun.json();
        let body = json!({
            "registration_token": begun["registration_token"], "name": "Laptop", "credential": key.create(&begun["options"]),
        });
        (key, self.post(by, "/api/v1/auth/passkeys", body).await)
    }

    /// The same, and the session's new form.
    pub async fn add_passkey(&self, by: &Login, seed: u8) -> (Authenticator, Value, Login) {
        let (key, added) = self.register_passkey(by, seed).await;
        assert_eq!(added.status, 201, "{added:?}");
        (key, added.json(), Login::from_answer(&added))
    }

    async fn challenge(&self) -> Value {
        self.public("/api/v1/auth/passkeys/challenge", json!({})).await.json()
    }

    async fn by_passkey(&self, asked: &Value, credential: &Value) -> Answer {
        let body = json!({ "passkey_token": asked["passkey_token"], "credential": credential });
        self.public("/api/v1/auth/passkeys/login", body).await
    }
}

#[rstest]
#[tokio::test]
async fn a_passkey_signs_in_alone_and_after_a_password(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    let before = site.signed_in("grace").await;
    let other = site.signed_in("grace").await;
    let (mut key, added, own) = site.add_passkey(&before, 7).await;
    assert_eq!(added["recovery_codes"].as_array().map(Vec::len), Some(10), "the first factor brings codes");
    assert_eq!(added["passkey"]["rp_id"], "localhost");
    site.has_ended(&before, "the old ID").await;
    site.has_ended(&other, "another session").await;
    let me = site.get(&own, "/api/v1/auth/me").await.json();
    assert_eq!(me["proofs"], json!(["password_and_code", "passkey"]));
    assert_eq!((&me["user"]["second_factor"], &me["user"]["passkeys"]), (&json!(true), &json!(1)));

    // Alone: nobody says a name.
    let asked = site.challenge().await;
    assert_eq!(asked["options"]["publicKey"]["allowCredentials"], json!([]));
    let credential = key.get(&asked["options"]);
    let opened = site.by_passkey(&asked, &credential).await;
    assert_eq!((opened.status, &opened.json()["user"]["username"]), (200, &json!("grace")), "{opened:?}");
    assert_eq!(site.by_passkey(&asked, &credential).await.status, 401, "the same answer twice");

    // After a password, for this user only.
    let step = site.login("grace", PASSWORD).await.json();
    assert_eq!(step["methods"], json!(["passkey", "recovery_code"]));
    let asked =
        site.public("/api/v1/auth/mfa/passkey", json!({ "mfa_token": step["mfa_token"] })).await.json();
    assert_eq!(asked["options"]["publicKey"]["allowCredentials"].as_array().map(Vec::len), Some(1));
    let finish = async |credential: &Value| {
        let body = json!({
            "mfa_token": step["mfa_token"], "passkey_token": asked["passkey_token"], "credential": credential,
        });
        site.public("/api/v1/auth/mfa", body).await
    };
    let opened = finish(&key.get(&asked["options"])).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let list = site.get(&own, "/api/v1/auth/passkeys").await.json();
    assert!(list[0]["last_used_at"].is_string(), "{list}");

    // A recovery code stands in for a lost passkey.
    let step = site.login("grace", PASSWORD).await.json();
    let body = json!({ "mfa_token": step["mfa_token"], "code": added["recovery_codes"][0] });
    assert_eq!(site.public("/api/v1/auth/mfa", body).await.status, 200);

    // As a fresh proof; then it goes, and with it the codes.
    site.test.clock.advance(TimeDelta::minutes(11));
    let at = format!("/api/v1/auth/passkeys/{}", list[0]["id"].as_str().expect("an id"));
    assert_eq!(site.delete(&own, &at).await.status, 403, "no proof");
    let asked = site.post(&own, "/api/v1/auth/proof/passkey", json!({})).await.json();
    let proof = json!({ "passkey_token": asked["passkey_token"], "credential": key.get(&asked["options"]) });
    let own = site.proved(&own, proof).await;
    assert_eq!(site.patch(&own, &at, json!({ "name": "Old laptop" })).await.json()["name"], "Old laptop");
    let gone = site.delete(&own, &at).await;
    assert_eq!((gone.status, &gone.json()["user"]["second_factor"]), (200, &json!(false)), "{gone:?}");
    let asked = site.challenge().await;
    assert_eq!(site.by_passkey(&asked, &key.get(&asked["options"])).await.status, 401);
    assert_eq!(site.login("grace", PASSWORD).await.json()["user"]["username"], "grace");
    let log = site.get(&admin, "/api/v1/audit-log?limit=500").await.text();
    for action in ["passkey_added", "passkey_renamed", "passkey_removed", "login_failed", "identity_proved"] {
        assert!(log.contains(action), "{action}");
    }
}

#[rstest]
#[tokio::test]
async fn what_is_no_answer_to_our_challenge_opens_nothing(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    site.user(&admin, "grace", "editor").await;
    site.user(&admin, "alan", "editor").await;
    let (mut key, _, own) = site.add_passkey(&site.signed_in("grace").await, 7).await;
    let (mut alans, _, _) = site.add_passkey(&site.signed_in("alan").await, 9).await;
    let refused = async |what: &str, asked: &Value, credential: &Value| {
        let answer = site.by_passkey(asked, credential).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(answer.all("set-cookie").is_empty(), "{what}");
        // None of these is a flood.
        site.rest(TimeDelta::minutes(1));
    };
    let asked = site.challenge().await;
    let (first, second) = (key.get(&asked["options"]), key.get(&site.challenge().await["options"]));
    refused("an answer to another challenge", &asked, &second).await;
    refused("a challenge that was answered wrongly is spent", &asked, &first).await;
    let asked = site.challenge().await;
    let answer = key.get(&asked["options"]);
    assert_eq!(site.by_passkey(&asked, &answer).await.status, 200, "the answer to this one");
    refused("which has been spent", &asked, &answer).await;

    // Every wrong one slows the next down; an hour without any is forgotten.
    let calm = || site.test.clock.advance(TimeDelta::minutes(61));
    calm();
    let asked = site.challenge().await;
    key.origin = "https://localhost.evil.example".to_owned();
    refused("another page", &asked, &key.get(&asked["options"])).await;
    key.origin = site.origin();
    let own_frame = key.frame.clone();
    for frame in [
        json!({ "crossOrigin": true }),
        json!({ "crossOrigin": "no" }),
        json!({ "topOrigin": "https://evil.example" }),
    ] {
        key.frame = frame;
        let asked = site.challenge().await;
        refused("a page in another site's frame", &asked, &key.get(&asked["options"])).await;
        calm();
    }
    key.frame = json!({});
    let asked = site.challenge().await;
    assert_eq!(
        site.by_passkey(&asked, &key.get(&asked["options"])).await.status,
        200,
        "an older browser says nothing"
    );
    key.frame = own_frame;
    let asked = site.challenge().await;
    key.verifies = false;
    refused("a holder who was not verified", &asked, &key.get(&asked["options"])).await;
    key.verifies = true;
    let asked = site.challenge().await;
    let mut forged = key.get(&asked["options"]);
    forged["response"]["userHandle"] = alans.get(&asked["options"])["response"]["userHandle"].clone();
    refused("somebody else's handle", &asked, &forged).await;
    let asked = site.challenge().await;
    let mut stranger = Authenticator::new(&site.origin(), 11);
    refused("a key that nobody has added", &asked, &stranger.get(&asked["options"])).await;
    calm();
    let asked = site.challenge().await;
    let count = key.counter;
    key.counter = 0;
    refused("a counter that runs back: a copy", &asked, &key.get(&asked["options"])).await;
    key.counter = count + 10;
    let asked = site.challenge().await;
    let credential = key.get(&asked["options"]);
    site.test.clock.advance(TimeDelta::minutes(11));
    refused("too late", &asked, &credential).await;
    calm();
    let asked = site.challenge().await;
    site.test.clock.set(TimeDelta::days(-1));
    refused("issued before the clock was set back", &asked, &key.get(&asked["options"])).await;
    site.test.clock.set(TimeDelta::days(1));
    refused("no ticket of ours", &json!({ "passkey_token": "x" }), &credential).await;
    refused("no credential", &site.challenge().await, &json!({ "id": 1 })).await;

    calm();
    // A challenge for one purpose serves no other, and a step is for its own user.
    let step = site.login("grace", PASSWORD).await.json();
    let mfa = json!({ "mfa_token": step["mfa_token"] });
    let asked = site.public("/api/v1/auth/mfa/passkey", mfa).await.json();
    refused("a step's challenge", &asked, &key.get(&asked["options"])).await;
    let asked = site.challenge().await;
    let body = json!({
        "mfa_token": step["mfa_token"], "passkey_token": asked["passkey_token"], "credential": key.get(&asked["options"]),
    });
    assert_eq!(site.public("/api/v1/auth/mfa", body).await.status, 401, "a sign-in's challenge");
    let asked = site.post(&own, "/api/v1/auth/proof/passkey", json!({})).await.json();
    let body = json!({
        "mfa_token": step["mfa_token"], "passkey_token": asked["passkey_token"], "credential": key.get(&asked["options"]),
    });
    assert_eq!(site.public("/api/v1/auth/mfa", body).await.status, 401, "a proof's challenge");
    let step = site.login("grace", PASSWORD).await.json();
    let asked =
        site.public("/api/v1/auth/mfa/passkey", json!({ "mfa_token": step["mfa_token"] })).await.json();
    let body = json!({
        "mfa_token": step["mfa_token"], "passkey_token": asked["passkey_token"], "credential": alans.get(&asked["options"]),
    });
    assert_eq!(site.public("/api/v1/auth/mfa", body).await.status, 401, "somebody else's passkey");

    // Two proofs at once are one too many; a disabled user's passkey is none.
    let both = json!({ "mfa_token": "x", "code": "1", "passkey_token": "x", "credential": {} });
    assert_eq!(site.public("/api/v1/auth/mfa", both).await.status, 422);
    let me = site.get(&own, "/api/v1/auth/me").await.json();
    let user = format!("/api/v1/users/{}", me["user"]["id"].as_str().expect("an id"));
    let admin = site.proved_admin(&admin).await;
    assert_eq!(site.patch(&admin, &user, json!({ "disabled": true })).await.status, 200);
    let asked = site.challenge().await;
    let answer = key.get(&asked["options"]);
    refused("a disabled user's", &asked, &answer).await;
    assert_eq!(site.patch(&admin, &user, json!({ "disabled": false })).await.status, 200);
    refused("an answer from before they were enabled", &asked, &answer).await;
    let asked = site.challenge().await;
    assert_eq!(site.by_passkey(&asked, &key.get(&asked["options"])).await.status, 200, "the control");
}

#[rstest]
#[tokio::test]
async fn an_address_has_no_passkeys_and_one_passkey_is_added_once(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (site, admin) = Site::ready(database).await;
    let methods = site.ask_as_is(
        crate::site::Ask::new("GET", "/api/v1/auth/methods")
            .header("Host", format!("127.0.0.1:{}", site.https.port())),
    );
    assert_eq!(methods.await.json()["passkeys"], false);
    let own = "/api/v1/auth/passkeys";
    let (mut key, _, admin) = site.add_passkey(&admin, 7).await;
    let begun = site.post(&admin, &format!("{own}/registration"), json!({})).await.json();
    assert_eq!(begun["options"]["publicKey"]["excludeCredentials"].as_array().map(Vec::len), Some(1));
    let body = json!({
        "registration_token": begun["registration_token"], "name": "Again", "credential": key.create(&begun["options"]),
    });
    let again = site.post(&admin, own, body.clone()).await;
    assert_eq!(again.json()["errors"][0]["field"], "credential", "this key is known: {again:?}");
    let mut nameless = body.clone();
    nameless["name"] = json!(" ");
    assert_eq!(site.post(&admin, own, nameless).await.json()["errors"][0]["field"], "name");
    let mut broken = body;
    broken["credential"] = json!({});
    assert_eq!(site.post(&admin, own, broken).await.json()["errors"][0]["field"], "credential");
    // Somebody else's is not found.
    site.user(&admin, "grace", "editor").await;
    let grace = site.signed_in("grace").await;
    let begun = site.post(&grace, &format!("{own}/registration"), json!({})).await.json();
    let stolen = json!({
        "registration_token": begun["registration_token"], "name": "Mine", "credential": key.create(&begun["options"]),
    });
    assert_eq!(site.post(&grace, own, stolen).await.status, 409, "one key has one owner");
    let list = site.get(&admin, own).await.json();
    let at = format!("{own}/{}", list[0]["id"].as_str().expect("an id"));
    assert_eq!(site.patch(&grace, &at, json!({ "name": "Mine" })).await.status, 404);
    assert_eq!(site.delete(&grace, &at).await.status, 404);
}
