//! Bounds that the front door takes too long to reach: a password is hashed at each sign-in, on purpose.

use cb_core::audit::Action;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use cb_core::config::Config;
use cb_core::{Event, OsEntropy, Principal, Secret};
use cb_fabric::Heard;
use cb_store::entities::{session, user};
use cb_store::sea_orm::{EntityTrait as _, PaginatorTrait as _};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestClock;
use chrono::TimeDelta;
use rstest::rstest;

use crate::auth::sessions::{self, Proof};
use crate::setup::{self, SetupIn};
use crate::{App, RequestMeta};

/// Past the password, everything is as it is at a sign-in.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_sessions_of_one_user_the_newest_hundred_live(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let dir = tempfile::tempdir().expect("a folder");
    let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
    let mut vars = vec![("CB_DATA_DIR".to_owned(), dir.path().display().to_string())];
    vars.extend(postgres.iter().map(|p| ("CB_DB_URL".to_owned(), p.url().to_owned())));
    let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("valid");
    let clock = Arc::new(TestClock::new());
    let app = App::open(&config, clock.clone(), Arc::new(OsEntropy)).await.expect("opens");
    let meta = || RequestMeta {
        request_id: app.new_id().into(),
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        user_agent: "test".to_owned(),
        devices: crate::auth::Devices::default(),
    };
    let input = SetupIn {
        code: app.setup_code().expect("setup is required").0,
        username: "maria".to_owned(),
        password: Secret::new("seven green kettles sing".to_owned()),
        email: None,
    };
    let first = setup::complete(&app, meta(), input).await.expect("set up");
    let who = user::Entity::find_by_id(first.out.user.id.0).one(app.store().reader()).await;
    let who = who.expect("reads").expect("a user");
    let mut cookies = vec![first.cookie];
    let mut heard = app.listen();
    let mut ended = 0;
    for n in 1..1_000 {
        clock.advance(TimeDelta::seconds(1));
        let ctx = app.ctx(Principal::SignIn { username: who.username.clone() }, meta());
        let admitted = ctx.record(Action::Login, async |tx| {
            sessions::admit(&ctx, tx, who.id, who.auth_epoch, Proof::Password { device: None })
                .await?
                .session()
        });
        cookies.push(admitted.await.expect("admitted").cookie);
        // One goes for each that comes, and whoever is connected with it hears so.
        while let Heard::Event(event) = heard.hear().await {
            match event {
                Event::SessionEnded { .. } => ended += 1,
                Event::EntryAppended { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        if n % 100 == 0 {
            let open = session::Entity::find().count(app.store().reader()).await.expect("counts");
            assert_eq!(open, 100, "after {n} more");
        }
    }
    assert_eq!(ended, 900);
    for (n, cookie) in cookies.iter().enumerate() {
        let alive = app.by_session(cookie.expose()).await.expect("reads").is_some();
        assert_eq!(alive, n >= 900, "session {n}");
    }
}
