//! Every sealed column is rotated, and none opens what was sealed for another.

use cb_app::vault;
use cb_core::{Error, OsEntropy, Secret};
use cb_store::entities::{oidc_provider, user};
use cb_store::sea_orm::{ConnectionTrait as _, DatabaseConnection, EntityTrait as _};
use cb_store::sealed::{CLIENT_SECRET, TOTP_SECRET};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use cb_vault::seal::key_of;
use rstest::rstest;
use uuid::Uuid;

use crate::vault::{begin, crowd, entries, me, proven, ring, texts};
use crate::write_path::raw;

async fn provider(database: Database, db: &DatabaseConnection, id: Uuid, client_secret: &str) {
    let id = match database {
        Sqlite => format!("X'{}'", id.simple()),
        Postgres => format!("'{id}'"),
    };
    db.execute_unprepared(&format!(
        "INSERT INTO oidc_providers (id, slug, name, issuer, client_id, client_secret, scopes, groups_claim, role_groups, create_users, enabled, version, created_at, updated_at)
         VALUES ({id}, 'attic', 'Attic', 'https://id.example.org', 'lab', '{client_secret}', '[]', 'groups', '{{}}', FALSE, TRUE, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')"
    ))
    .await
    .expect("inserted");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_takes_every_column(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let old = ring(&test, &db).await;
    crowd(&test, &db, &old, 3).await;
    let id = test.app.new_id();
    let secret = Secret::new("of the provider".to_owned());
    let sealed = old.seal(CLIENT_SECRET.place(&id), &secret, test.app.now(), &OsEntropy).expect("seals");
    provider(database, &db, id, &sealed).await;
    test.clock.advance(chrono::TimeDelta::minutes(1));
    let told = vault::rotate(&proven(&test, &test.app, &ctx)).await.expect("rotates");
    assert_eq!(entries(&test, cb_app::audit::Action::VaultKeyRotated).await[0]["resealed"], 4);
    assert_eq!((told.sealed, told.keys[0].secrets, told.keys[1].secrets), (4, 4, 0));
    let new = ring(&test, &db).await;
    let now = oidc_provider::Entity::find_by_id(id).one(&db).await.expect("reads").expect("there");
    let text = now.client_secret.expect("a secret");
    assert_eq!(key_of(&text), Some(told.current_key_id));
    assert_eq!(new.open(CLIENT_SECRET.place(&id), &text).expect("opens").expose(), "of the provider");
    for (row, text) in texts(&db).await {
        assert_eq!(key_of(&text), Some(told.current_key_id));
        new.open(TOTP_SECRET.place(&row), &text).expect("opens");
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_another_column_is_found_though_the_row_is_the_same(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let (test, ctx) = TestApp::ready(database).await;
    let db = raw(&test).await;
    let ctx = proven(&test, &test.app, &ctx);
    begin(&ctx).await;
    let mine = user::Entity::find_by_id(me(&ctx)).one(&db).await;
    let text = mine.expect("reads").expect("there").totp_secret.expect("a secret");
    provider(database, &db, me(&ctx), &text).await;
    let refused = vault::rotate(&ctx).await;
    assert!(
        matches!(&refused, Err(Error::Conflict(why)) if why.contains("oidc_providers.client_secret")),
        "{refused:?}"
    );
    db.execute_unprepared("DELETE FROM oidc_providers").await.expect("removed");
    vault::rotate(&ctx).await.expect("the control");
}
