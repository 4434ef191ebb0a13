//! A secret goes where it was typed for and nowhere else, and never out again.

use std::collections::BTreeMap;

use cb_app::credentials::{self, CredentialIn, CredentialPatch, Kind};
use cb_app::{Ctx, List};
use cb_core::{Error, Patch, Principal, Secret};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;

use crate::write_path::raw;

pub fn texts(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

pub fn secrets(of: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    of.iter().map(|(name, text)| ((*name).to_owned(), Secret::new((*text).to_owned()))).collect()
}

pub fn given(kind: Kind, public: &[(&str, &str)], secret: &[(&str, &str)], hosts: &[&str]) -> CredentialIn {
    CredentialIn {
        name: format!("of kind {}", kind.as_str()),
        kind,
        public: texts(public),
        secret: secrets(secret),
        hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        certificate_sha256: None,
        host_key_sha256: None,
    }
}

/// The administrator, whose sign-in is a proof of a moment ago.
fn operator(test: &TestApp) -> Ctx {
    test.app.ctx(Principal::Operator, test.meta())
}

fn hosts(of: &[&str]) -> Vec<String> {
    of.iter().map(|h| (*h).to_owned()).collect()
}

fn fields(error: Error) -> Vec<String> {
    match error {
        Error::Invalid(wrong) => wrong.into_iter().map(|w| w.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn wider_hosts_and_another_pin_want_the_secret_again(#[values(Sqlite, Postgres)] database: Database) {
    let (test, _) = TestApp::ready(database).await;
    let ctx = operator(&test);
    let pin = "ab".repeat(32);
    let mut first =
        given(Kind::Basic, &[("user", "root")], &[("password", "calvin")], &["10.0.0.0/24", "NAS.lan."]);
    first.certificate_sha256 = Some(pin.clone());
    let made = credentials::create(&ctx, first).await.expect("created");
    assert_eq!(made.hosts, ["10.0.0.0/24", "nas.lan"]);
    assert_eq!(made.public.get("transport").map(String::as_str), Some("https"));
    let change = async |patch: CredentialPatch| credentials::update(&ctx, made.id, patch, None).await;
    let patch = CredentialPatch::default;
    let wanted = async |patch: CredentialPatch| {
        let refused = change(patch).await.expect_err("wants the secret");
        assert_eq!(fields(refused), ["secret"]);
    };
    wanted(CredentialPatch { hosts: Some(hosts(&["10.0.0.0/24", "nas.lan", "evil.example"])), ..patch() })
        .await;
    wanted(CredentialPatch { hosts: Some(hosts(&["10.0.0.0/16"])), ..patch() }).await;
    wanted(CredentialPatch { certificate_sha256: Patch::Clear, ..patch() }).await;
    wanted(CredentialPatch { certificate_sha256: Patch::Set("cd".repeat(32)), ..patch() }).await;
    let plain = texts(&[("user", "root"), ("transport", "http")]);
    wanted(CredentialPatch { public: Some(plain), ..patch() }).await;
    // Nothing of it was kept.
    let same = credentials::get(&ctx, made.id).await.expect("there");
    assert_eq!((same.version, same.hosts, same.certificate_sha256), (1, made.hosts, made.certificate_sha256));

    // What is narrower or says nothing of the secret's way needs none.
    let user = texts(&[("user", "admin"), ("transport", "https")]);
    let narrower = CredentialPatch {
        name: Some("BMCs".to_owned()),
        public: Some(user),
        hosts: Some(hosts(&["10.0.0.128/25"])),
        certificate_sha256: Patch::Set(pin.to_uppercase()),
        ..patch()
    };
    let changed = change(narrower).await.expect("changed");
    assert_eq!((changed.name.as_str(), changed.secret_changed_at), ("BMCs", made.secret_changed_at));
    // Back again is wider.
    wanted(CredentialPatch { hosts: Some(hosts(&["10.0.0.0/24"])), ..patch() }).await;
    test.clock.advance(chrono::TimeDelta::minutes(1));
    let wider = CredentialPatch {
        hosts: Some(hosts(&["10.0.0.0/8"])),
        certificate_sha256: Patch::Clear,
        secret: Some(secrets(&[("password", "hobbes")])),
        ..patch()
    };
    let changed = change(wider).await.expect("changed");
    assert!(changed.secret_changed_at > made.secret_changed_at && changed.certificate_sha256.is_none());
    // A pin where there was none trusts somebody else, too.
    wanted(CredentialPatch { certificate_sha256: Patch::Set(pin), ..patch() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_host_key_is_free_and_the_second_is_not() {
    let (test, _) = TestApp::ready(Sqlite).await;
    let ctx = operator(&test);
    let ssh = given(Kind::SshPassword, &[("user", "root")], &[("password", "x")], &["nas.lan"]);
    let made = credentials::create(&ctx, ssh).await.expect("created");
    let key = |n: u8| {
        let hash = "A".repeat(42) + if n == 0 { "A" } else { "E" };
        CredentialPatch {
            host_key_sha256: Patch::Set(format!("SHA256:{hash}")),
            ..CredentialPatch::default()
        }
    };
    credentials::update(&ctx, made.id, key(0), None).await.expect("nothing was sent before");
    credentials::update(&ctx, made.id, key(0), None).await.expect("the same");
    let refused = credentials::update(&ctx, made.id, key(1), None).await.expect_err("another");
    assert_eq!(fields(refused), ["secret"]);
    let none = CredentialPatch { host_key_sha256: Patch::Clear, ..CredentialPatch::default() };
    let refused = credentials::update(&ctx, made.id, none, None).await.expect_err("none");
    assert_eq!(fields(refused), ["secret"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_read_strictly_and_says_what_is_wrong() {
    let (test, _) = TestApp::ready(Sqlite).await;
    let ctx = operator(&test);
    let here = &["10.0.0.5"][..];
    let long = "x".repeat(1025);
    let cases: &[(CredentialIn, &[&str])] = &[
        (given(Kind::SnmpV2c, &[], &[], here), &["secret.community"]),
        (given(Kind::SnmpV2c, &[], &[("community", "a\nb")], here), &["secret.community"]),
        (given(Kind::SnmpV2c, &[("user", "x")], &[("community", "ab")], here), &["public"]),
        (given(Kind::SnmpV2c, &[], &[("community", "ab"), ("x", "y")], here), &["secret"]),
        (given(Kind::SnmpV2c, &[], &[("community", "ab")], &[]), &["hosts"]),
        (given(Kind::SnmpV2c, &[], &[("community", "ab")], &["0.0.0.0/0"]), &["hosts"]),
        (given(Kind::SnmpV2c, &[], &[("community", "ab")], &["http://nas"]), &["hosts"]),
        (given(Kind::SnmpV2c, &[], &[("community", "ab")], &["10.0.0.1"; 51]), &["hosts"]),
        (given(Kind::SnmpV3, &[("user", "m"), ("auth", "sha1")], &[], here), &["secret.auth_password"]),
        (
            given(Kind::SnmpV3, &[("user", "m"), ("auth", "sha1")], &[("auth_password", "short")], here),
            &["secret.auth_password"],
        ),
        (
            given(
                Kind::SnmpV3,
                &[("user", "m"), ("privacy", "des")],
                &[("privacy_password", "12345678")],
                here,
            ),
            &["public.auth"],
        ),
        (given(Kind::SnmpV3, &[("user", "m"), ("auth", "sha3")], &[], here), &["public.auth"]),
        (
            given(Kind::SnmpV3, &[("user", "m")], &[("auth_password", "12345678")], here),
            &["secret.auth_password"],
        ),
        (given(Kind::Basic, &[("user", "a:b")], &[("password", "x")], here), &["public.user"]),
        (given(Kind::Basic, &[("user", "a")], &[("password", &long)], here), &["secret.password"]),
        (given(Kind::Bearer, &[], &[("token", "a b")], here), &["secret.token"]),
        (
            given(Kind::ProxmoxToken, &[("token_id", "root@pam")], &[("token_secret", "x")], here),
            &["public.token_id"],
        ),
        (given(Kind::WebhookSecret, &[], &[("key", "fifteen letters")], here), &["secret.key"]),
    ];
    for (given, wrong) in cases {
        let (kind, public) = (given.kind, &given.public);
        let input = CredentialIn {
            name: given.name.clone(),
            kind,
            public: public.clone(),
            secret: given.secret.clone(),
            hosts: given.hosts.clone(),
            certificate_sha256: None,
            host_key_sha256: None,
        };
        let refused = credentials::create(&ctx, input).await.expect_err("refused");
        assert_eq!(fields(refused), *wrong, "{kind:?} {public:?}");
    }
    let mut pinned = given(Kind::SnmpV2c, &[], &[("community", "ab")], here);
    pinned.certificate_sha256 = Some("ab".repeat(32));
    pinned.host_key_sha256 = Some("SHA256:x".to_owned());
    let refused = fields(credentials::create(&ctx, pinned).await.expect_err("refused"));
    assert_eq!(refused, ["certificate_sha256", "host_key_sha256"]);
    // And the same name in other letters.
    let one = || given(Kind::SnmpV2c, &[], &[("community", "ab")], here);
    credentials::create(&ctx, one()).await.expect("created");
    let twin = CredentialIn { name: "OF KIND snmp_V2C".to_owned(), ..one() };
    assert!(matches!(credentials::create(&ctx, twin).await, Err(Error::Taken(_))));
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sealed_survives_a_rotation_and_is_in_no_answer(
    #[values(Sqlite, Postgres)] database: Database,
) {
    use cb_store::entities::credential;
    use cb_store::sea_orm::EntityTrait as _;

    let (test, _) = TestApp::ready(database).await;
    let ctx = operator(&test);
    let snmp = given(Kind::SnmpV2c, &[], &[("community", "hush-hush-lab")], &["10.0.0.5"]);
    let made = credentials::create(&ctx, snmp).await.expect("created");
    let patch = CredentialPatch {
        secret: Some(secrets(&[("community", "hush-hush-den")])),
        ..CredentialPatch::default()
    };
    let changed = credentials::update(&ctx, made.id, patch, Some(1)).await.expect("changed");
    let list = credentials::list(&ctx, &List::default(), Some(Kind::SnmpV2c)).await.expect("listed");
    let log = cb_app::audit::list(&ctx, &List::default(), &cb_app::audit::EntryFilter::default()).await;
    let log = log.expect("listed");
    let all = format!(
        "{}{}{}{}",
        serde_json::to_string(&made).expect("JSON"),
        serde_json::to_string(&changed).expect("JSON"),
        serde_json::to_string(&list).expect("JSON"),
        serde_json::to_string(&log).expect("JSON"),
    );
    assert!(all.contains("of kind snmp_v2c") && !all.contains("hush"), "{all}");
    let db = raw(&test).await;
    let stored = async || credential::Entity::find().one(&db).await.expect("reads").expect("a row");
    let before = stored().await.secret;
    assert!(before.starts_with("v1:") && !before.contains("hush"));
    cb_app::vault::rotate(&ctx).await.expect("rotates");
    assert_ne!(stored().await.secret, before);
    // Opens after it: the same checks read it.
    let named = CredentialPatch { name: Some("x".to_owned()), ..CredentialPatch::default() };
    credentials::update(&ctx, made.id, named, None).await.expect("changed");
    credentials::delete(&ctx, made.id, None).await.expect("deleted");
    assert!(matches!(credentials::get(&ctx, made.id).await, Err(Error::NotFound)));
}

/// The newest thousand uses are kept.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_uses_forgets_the_oldest(#[values(Sqlite, Postgres)] database: Database) {
    use cb_app::credentials::test::{self, TestIn};
    use cb_app::credentials::uses;
    use cb_store::entities::credential_use;
    use cb_store::sea_orm::{ActiveModelTrait as _, EntityTrait as _};

    let (test, _) = TestApp::ready(database).await;
    let (ctx, db) = (operator(&test), raw(&test).await);
    let kept = |name: &str| CredentialIn {
        name: name.to_owned(),
        ..given(Kind::Basic, &[("user", "root")], &[("password", "x")], &["127.0.0.1:1"])
    };
    let one = credentials::create(&ctx, kept("one")).await.expect("created").id;
    let other = credentials::create(&ctx, kept("other")).await.expect("created").id;
    let mut rows = Vec::new();
    for n in 0..1_004 {
        test.clock.advance(chrono::TimeDelta::seconds(1));
        let row = credential_use::Model {
            id: test.app.new_id(),
            credential_id: if n < 2 { other.0 } else { one.0 },
            at: test.app.now(),
            user_kind: "channel".to_owned(),
            user_id: None,
            user_name: format!("n{n}"),
            host: "127.0.0.1".to_owned(),
            port: None,
            purpose: "mail".to_owned(),
            ok: None,
        };
        rows.push(credential_use::ActiveModel::from(row).reset_all());
    }
    credential_use::Entity::insert_many(rows).exec(&db).await.expect("inserted");
    test.clock.advance(chrono::TimeDelta::seconds(1));
    let there = TestIn { host: "127.0.0.1".to_owned(), port: Some(1), path: None };
    assert!(!test::run(&ctx, one, there).await.expect("an answer").ok);
    let list = async |id, sort: Option<&str>| {
        let list = List { limit: Some(1), sort: sort.map(str::to_owned), ..List::default() };
        let page = uses::list(&ctx, id, &list).await.expect("listed");
        (page.total, page.items.into_iter().next().map(|used| (used.user_name, used.ok)))
    };
    let (total, newest) = list(one, None).await;
    assert_eq!((total, newest), (Some(1_000), Some(("operator token".to_owned(), Some(false)))));
    // Of 1,002 and the new one the first three are gone.
    assert_eq!(list(one, Some("at")).await.1, Some(("n5".to_owned(), None)));
    assert_eq!(list(other, None).await.0, Some(2), "another's stay");
}
