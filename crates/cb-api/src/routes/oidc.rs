//! `/auth/oidc`: signing in at a provider, and the accounts there that are linked to a user. The browser itself goes there
//! and comes back, so these answers are redirects; what went wrong is told by the sign-in page.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use cb_app::App;
use cb_app::auth::{Admission, SessionOut};
use cb_app::oidc::identities::{self, IdentityOut};
use cb_app::oidc::sign_in::{self, Brought, LinkAway, Return};
use cb_core::ids::IdentityId;
use cb_core::{Error, Secret};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use url::form_urlencoded::Serializer;
use utoipa::IntoParams;

use super::session::{apart, named_cookie, signed_in};
use crate::auth::{self, SessionReader, SessionWriter, meta, site};
use crate::extract::{Id, Query};
use crate::problem::Problem;

/// What must come back from the provider with the browser that went there.
const COOKIE: &str = "__Host-cb_oidc";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartQuery {
    /// The path of this server that is opened afterwards.
    next: Option<String>,
}

/// Whatever else a provider adds is not looked at (RFC 6749, 4.1.2).
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    #[param(value_type = Option<String>)]
    code: Option<Secret>,
    #[param(value_type = Option<String>)]
    state: Option<Secret>,
    error: Option<String>,
    iss: Option<String>,
}

/// Sends the browser to the provider.
#[utoipa::path(get, path = "/auth/oidc/{slug}/start", operation_id = "get_auth_oidc_start", tag = "session",
    params(("slug" = String, Path), StartQuery), responses((status = 303)))]
pub(crate) async fn start(
    State(app): State<App>,
    Path(slug): Path<String>,
    Query(query): Query<StartQuery>,
    parts: Parts,
) -> Result<Response, Problem> {
    app.after_setup().await?;
    let next = query.next.as_deref().unwrap_or("/");
    match sign_in::start(&app, &meta(&parts)?, &site(&parts)?, &slug, next).await {
        Ok(Ok(away)) => {
            let mut response = see_other(&away.url)?;
            response.headers_mut().insert(header::SET_COOKIE, going(away.cookie.expose())?);
            Ok(response)
        }
        Ok(Err((problem, provider))) => told(problem, provider.as_deref()),
        Err(error) => told(refusal(error)?, None),
    }
}

/// The address to which the provider sends the browser back.
#[utoipa::path(get, path = "/auth/oidc/{slug}/callback", operation_id = "get_auth_oidc_callback", tag = "session",
    params(("slug" = String, Path), CallbackQuery), responses((status = 303)))]
pub(crate) async fn callback(
    State(app): State<App>,
    Path(slug): Path<String>,
    Query(query): Query<CallbackQuery>,
    parts: Parts,
) -> Result<Response, Problem> {
    app.after_setup().await?;
    let CallbackQuery { code, state, error, iss } = query;
    let brought = Brought { code, state, error, iss };
    let meta = meta(&parts)?;
    let ticket = auth::cookie(&parts.headers, COOKIE).map(|c| Secret::new(c.to_owned()));
    let returned = async {
        let session = auth::visitor(&app, &parts).await?;
        sign_in::finish(&app, meta, &slug, ticket.as_ref(), session.as_ref(), brought).await
    };
    let returned = match returned.await {
        Ok(returned) => returned,
        Err(error) => Return::Problem(refusal(error)?, None),
    };
    let mut response = match returned {
        Return::Admitted(admission, next) => match *admission {
            Admission::Session(opened) => {
                let mut response = see_other(&next)?;
                for cookie in apart(opened)?.1 {
                    response.headers_mut().append(header::SET_COOKIE, cookie);
                }
                response
            }
            Admission::SecondFactor(asked) => {
                let methods = serde_json::to_value(&asked.methods).map_err(Error::internal)?;
                let methods: Vec<&str> =
                    methods.as_array().into_iter().flatten().filter_map(|m| m.as_str()).collect();
                // In the fragment: it is not sent to any server, and the page takes it out at once.
                let (next, methods) = (query_of(&[("next", &next)]), methods.join(","));
                see_other(&format!("/login?{next}#mfa_token={}&methods={methods}", asked.mfa_token))?
            }
        },
        Return::Linked => see_other(&format!("/account?{}", query_of(&[("linked", &slug)])))?,
        Return::Problem(problem, provider) => told(problem, provider.as_deref())?,
    };
    response.headers_mut().append(header::SET_COOKIE, named_cookie(COOKIE, "", 0)?);
    Ok(response)
}

/// Starts to connect an account of this provider to the caller's user; the page then opens `url`.
#[utoipa::path(post, path = "/auth/oidc/{slug}/link", operation_id = "post_auth_oidc_link", tag = "session",
    params(("slug" = String, Path)), responses((status = 200, body = LinkAway)))]
pub(crate) async fn link(
    SessionWriter(ctx): SessionWriter,
    Path(slug): Path<String>,
    parts: Parts,
) -> Result<Response, Problem> {
    let away = sign_in::link(&ctx, &site(&parts)?, &slug).await?;
    let mut response = axum::Json(LinkAway { url: away.url }).into_response();
    response.headers_mut().insert(header::SET_COOKIE, going(away.cookie.expose())?);
    Ok(response)
}

/// The caller's connected accounts, oldest first.
#[utoipa::path(get, path = "/auth/identities", operation_id = "get_auth_identities", tag = "session",
    responses((status = 200, body = Vec<IdentityOut>)))]
pub(crate) async fn identities(
    SessionReader(ctx, _): SessionReader,
) -> Result<axum::Json<Vec<IdentityOut>>, Problem> {
    Ok(axum::Json(identities::list(&ctx).await?))
}

/// Disconnects one of the caller's accounts. Every other session ends; this one continues with a new ID.
#[utoipa::path(delete, path = "/auth/identities/{id}", operation_id = "delete_auth_identities_id", tag = "session",
    params(("id" = IdentityId, Path)), responses((status = 200, body = SessionOut)))]
pub(crate) async fn unlink(
    SessionWriter(ctx): SessionWriter,
    Id(id): Id<IdentityId>,
) -> Result<Response, Problem> {
    signed_in(StatusCode::OK, identities::unlink(&ctx, id).await?)
}

fn going(value: &str) -> Result<HeaderValue, Problem> {
    named_cookie(COOKIE, value, cb_app::auth::TICKET_LIVES.as_secs())
}

/// An error that the page can tell; any other is told as it is.
fn refusal(error: Error) -> Result<sign_in::Problem, Problem> {
    match error {
        Error::RateLimited { .. } => Ok(sign_in::Problem::TooMany),
        Error::Unavailable(_) | Error::StorageFull(_) | Error::OutcomeUnknown(_) => {
            Ok(sign_in::Problem::Unavailable)
        }
        other => Err(other.into()),
    }
}

fn told(problem: sign_in::Problem, provider: Option<&str>) -> Result<Response, Problem> {
    let provider = provider.map(|p| ("provider", p));
    let pairs: Vec<(&str, &str)> =
        [Some(("problem", problem.code())), provider].into_iter().flatten().collect();
    see_other(&format!("/login?{}", query_of(&pairs)))
}

fn query_of(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn see_other(to: &str) -> Result<Response, Problem> {
    let mut headers = HeaderMap::new();
    headers.insert(header::LOCATION, HeaderValue::try_from(to).map_err(Error::internal)?);
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}
