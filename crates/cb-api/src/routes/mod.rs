//! The API: one file per resource, one line here for each route.
//!
//! A handler parses, calls its use case and maps the answer; it is about ten lines. To add a resource
//! copy `tags.rs`, the shortest. A route is closed to strangers unless it stands on
//! [`crate::auth::PUBLIC`]. Every route is in the document, for clippy bans the other ways to add one; so the
//! tests that walk the document walk everything.

use axum::Router;
use cb_app::App;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::document;
use crate::problem::{FieldProblem, Problem};

mod addresses;
mod assets;
mod audit;
mod ca;
mod channels;
mod credentials;
mod csv;
mod findings;
mod health;
pub(crate) mod hooks;
mod interfaces;
mod links;
mod map;
mod metrics;
mod networks;
mod oidc;
mod openapi;
mod operations;
mod parameters;
mod passkeys;
mod providers;
mod proxies;
mod ready;
mod scans;
mod session;
mod settings;
mod setup;
mod storage;
mod tags;
mod tokens;
mod users;
mod vault;
mod views;
mod webhooks;

/// A query of a list: what every list takes, and the filters of this one.
macro_rules! list_query {
    ($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? }) => {
        #[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// 1 to 500; 50 if absent.
            limit: Option<u64>,
            /// The `next_cursor` of the previous page.
            cursor: Option<String>,
            /// The field to sort by; a leading `-` sorts in descending order.
            sort: Option<String>,
            /// Words to search for.
            q: Option<String>,
            $($(#[$meta])* $field: Option<$type>,)*
        }

        impl $name {
            fn list(&self) -> cb_app::List {
                cb_app::List {
                    limit: self.limit,
                    cursor: self.cursor.clone(),
                    sort: self.sort.clone(),
                    q: self.q.clone(),
                }
            }
        }
    };
}
pub(crate) use list_query;

list_query!(ListQuery {});

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Circuit Breaker",
        description = "Discovers, documents, maps and watches a network. Except for the public paths, every request needs the session cookie (with the header X-CSRF-Token on writes) or a bearer token.",
    ),
    components(schemas(Problem, FieldProblem))
)]
struct Document;

/// Every route with its documentation.
#[expect(clippy::disallowed_methods, reason = "the one place where routes are put together")]
fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .nest("/api/v1", api())
        .routes(routes!(ca::get))
        .routes(routes!(metrics::get))
}

fn api() -> OpenApiRouter<App> {
    identity(notifications(OpenApiRouter::new()))
        .routes(routes!(health::get))
        .routes(routes!(ready::get))
        .routes(routes!(settings::get, settings::patch))
        .routes(routes!(operations::get))
        .routes(routes!(operations::periodic))
        .routes(routes!(operations::jobs))
        .routes(routes!(operations::job_kinds))
        .routes(routes!(operations::delete_job))
        .routes(routes!(operations::retry_job))
        .routes(routes!(storage::get))
        .routes(routes!(proxies::get))
        .routes(routes!(vault::get))
        .routes(routes!(vault::rotate))
        .routes(routes!(credentials::kinds))
        .routes(routes!(credentials::list, credentials::create))
        .routes(routes!(credentials::get, credentials::update, credentials::delete))
        .routes(routes!(credentials::test))
        .routes(routes!(credentials::uses))
        .routes(routes!(assets::list, assets::create))
        .routes(routes!(assets::export))
        .routes(routes!(assets::delete_many))
        .routes(routes!(assets::tag_many))
        .routes(routes!(assets::get, assets::update, assets::delete))
        .routes(routes!(interfaces::list, interfaces::create))
        .routes(routes!(interfaces::get, interfaces::update, interfaces::delete))
        .routes(routes!(addresses::list, addresses::create))
        .routes(routes!(addresses::get, addresses::update, addresses::delete))
        .routes(routes!(networks::list, networks::create))
        .routes(routes!(networks::get, networks::update, networks::delete))
        .routes(routes!(links::list, links::create))
        .routes(routes!(links::get, links::update, links::delete))
        .routes(routes!(tags::list, tags::create))
        .routes(routes!(tags::get, tags::update, tags::delete))
        .routes(routes!(views::list, views::create))
        .routes(routes!(views::get, views::update, views::delete))
        .routes(routes!(map::get))
        .routes(routes!(map::place))
        .routes(routes!(map::release))
        .routes(routes!(scans::discovery))
        .routes(routes!(scans::list, scans::start))
        .routes(routes!(scans::get))
        .routes(routes!(scans::cancel))
        .routes(routes!(findings::list))
        .routes(routes!(findings::groups))
        .routes(routes!(findings::accept_many))
        .routes(routes!(findings::ignore_many))
        .routes(routes!(findings::reopen_many))
        .routes(routes!(findings::propose_many))
        .routes(routes!(findings::tag_many))
        .routes(routes!(findings::undo))
        .routes(routes!(findings::get))
        .routes(routes!(findings::accept))
        .routes(routes!(findings::ignore))
        .routes(routes!(findings::reopen))
        .routes(routes!(audit::list))
        .routes(routes!(audit::verify))
        .routes(routes!(audit::checkpoints))
        .routes(routes!(audit::standing))
        .routes(routes!(audit::export))
        .routes(routes!(crate::streams::audit))
        .routes(routes!(crate::streams::discovery))
        .routes(routes!(crate::streams::topology))
        .routes(routes!(openapi::get))
}

/// Who may come in, and how.
fn identity(router: OpenApiRouter<App>) -> OpenApiRouter<App> {
    router
        .routes(routes!(setup::get, setup::post))
        .routes(routes!(session::login))
        .routes(routes!(session::logout))
        .routes(routes!(session::me))
        .routes(routes!(session::mfa))
        .routes(routes!(session::prove))
        .routes(routes!(session::change_password))
        .routes(routes!(session::check_link))
        .routes(routes!(session::reset))
        .routes(routes!(session::forgot))
        .routes(routes!(session::list, session::end_others))
        .routes(routes!(session::end))
        .routes(routes!(session::totp, session::begin_totp, session::end_totp))
        .routes(routes!(session::confirm_totp))
        .routes(routes!(session::recovery_codes))
        .routes(routes!(passkeys::methods))
        .routes(routes!(passkeys::challenge))
        .routes(routes!(passkeys::login))
        .routes(routes!(passkeys::mfa))
        .routes(routes!(passkeys::proof))
        .routes(routes!(passkeys::list, passkeys::register))
        .routes(routes!(passkeys::begin))
        .routes(routes!(passkeys::rename, passkeys::remove))
        .routes(routes!(oidc::start))
        .routes(routes!(oidc::callback))
        .routes(routes!(oidc::link))
        .routes(routes!(oidc::identities))
        .routes(routes!(oidc::unlink))
        .routes(routes!(providers::list, providers::create))
        .routes(routes!(providers::get, providers::update, providers::delete))
        .routes(routes!(providers::test))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::delete))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::update, users::delete))
        .routes(routes!(users::open_sessions, users::end_sessions))
        .routes(routes!(users::clear_second_factor))
        .routes(routes!(users::reset_link))
        .routes(routes!(users::reset_mail))
        .routes(routes!(users::roles))
        .routes(routes!(users::invites, users::invite))
        .routes(routes!(users::withdraw))
        .routes(routes!(users::accept))
}

/// Who is told, and who tells.
fn notifications(router: OpenApiRouter<App>) -> OpenApiRouter<App> {
    router
        .routes(routes!(webhooks::kinds))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::get, webhooks::update, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::redeliver))
        .routes(routes!(hooks::list, hooks::create))
        .routes(routes!(hooks::get, hooks::update, hooks::delete, hooks::receive))
        .routes(routes!(hooks::rotate))
        .routes(routes!(hooks::events))
        .routes(routes!(channels::kinds))
        .routes(routes!(channels::list, channels::create))
        .routes(routes!(channels::get, channels::update, channels::delete))
        .routes(routes!(channels::test))
        .routes(routes!(channels::deliveries))
        .routes(routes!(channels::redeliver))
        .routes(routes!(crate::streams::notifications))
}

/// The API; [`crate::edge`] puts it behind the guard, with everything else.
pub fn router(app: App) -> Router {
    let (router, _) = documented().split_for_parts();
    router
        .method_not_allowed_fallback(|| async {
            Problem::new(
                http::StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path does not take this method; the Allow header names those it takes",
            )
        })
        .layer(axum::Extension(crate::streams::Sockets::default()))
        .with_state(app)
}

/// The OpenAPI 3.1 document.
pub fn document() -> utoipa::openapi::OpenApi {
    document::complete(documented().split_for_parts().1)
}
