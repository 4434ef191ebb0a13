//! Saved views in the database: what no answer shows.

use cb_app::auth::login::LoginIn;
use cb_app::{auth, users, views};
use cb_core::{Role, Secret};
use cb_store::entities::view;
use cb_store::sea_orm::{EntityTrait as _, PaginatorTrait as _};
use cb_testkit::{Database, Database::Postgres, Database::Sqlite, TestApp};
use rstest::rstest;
use serde_json::json;

use crate::vault::proven;
use crate::write_path::raw;

#[rstest]
#[tokio::test]
async fn the_views_of_a_deleted_user_are_gone_and_no_others(#[values(Sqlite, Postgres)] database: Database) {
    let (test, admin) = TestApp::ready(database).await;
    let admin = proven(&test, &test.app, &admin);
    let grace = users::UserIn {
        username: "grace".to_owned(),
        email: None,
        role: Role::Viewer,
        password: Secret::new("nine blue herons wade".to_owned()),
    };
    let grace = users::create(&admin, grace).await.expect("made").id;
    let login =
        LoginIn { username: "grace".to_owned(), password: Secret::new("nine blue herons wade".to_owned()) };
    let opened =
        auth::login(&test.app, test.meta(), login).await.expect("signed in").session().expect("a session");
    let who = test.app.by_session(opened.cookie.expose()).await.expect("readable").expect("alive");
    let hers = test.app.ctx(who.principal, test.meta());
    for (ctx, name) in [(&hers, "One"), (&hers, "Two"), (&admin, "Mine")] {
        let given = serde_json::from_value(json!({ "list": "inventory", "name": name })).expect("a view");
        views::create(ctx, given).await.expect("saved");
    }
    let db = raw(&test).await;
    let count = async || view::Entity::find().count(&db).await.expect("counted");
    assert_eq!(count().await, 3);
    users::delete(&admin, grace).await.expect("deleted");
    assert_eq!(count().await, 1, "the views went with their user");
    assert_eq!(views::list(&admin, None).await.expect("listed").len(), 1);
}
