//! The way to a provider and back. What must be remembered meanwhile goes with the browser as a sealed cookie; the `state`
//! ties the answer to it, PKCE and the nonce tie the tokens to both.

use cb_core::audit::Action;
use cb_core::{Error, Principal, Result, Role, Secret};
use cb_store::entities::{oidc_provider, user, user_identity};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, ExprTrait as _, PaginatorTrait as _,
    QueryFilter as _,
};
use cb_store::{WriteTx, conflict, db};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::protocol::{Arrival, Departure, Person};
use super::providers::{self, opened, redirect, role_of};
use crate::app::App;
use crate::auth::guesses::Guess;
use crate::auth::sessions::{self, Admission, Kept, Proof};
use crate::auth::tickets::{self, Kind, Ticket};
use crate::auth::{Site, active, own, place, rules};
use crate::ctx::{Ctx, RequestMeta};

/// Why a sign-in elsewhere did not end in a session; the sign-in page has the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The user, or the provider, said no.
    Denied,
    /// It took too long, was begun in another browser, or was done already.
    Expired,
    /// Nobody here is linked to this account, and it makes no users.
    UnknownUser,
    /// A user would be made and another one has the name.
    NameTaken,
    /// None of the groups gives a role.
    NoRole,
    /// The user is disabled.
    Disabled,
    /// The provider does not answer, or not as it should.
    ProviderFailed,
    /// The account is linked to another user, or the user to another account of this provider.
    LinkedElsewhere,
    /// Too many sign-ins from one place.
    TooMany,
    /// Nothing can be read or saved at the moment.
    Unavailable,
}

impl Problem {
    pub fn code(self) -> &'static str {
        match self {
            Problem::Denied => "denied",
            Problem::Expired => "expired",
            Problem::UnknownUser => "unknown_user",
            Problem::NameTaken => "name_taken",
            Problem::NoRole => "no_role",
            Problem::Disabled => "disabled",
            Problem::ProviderFailed => "provider_failed",
            Problem::LinkedElsewhere => "linked_elsewhere",
            Problem::TooMany => "too_many",
            Problem::Unavailable => "unavailable",
        }
    }
}

/// The browser goes there, with this cookie.
pub struct Away {
    pub url: String,
    pub cookie: Secret,
}

/// Where the browser goes to connect an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkAway {
    pub url: String,
}

/// How a sign-in elsewhere came out.
pub enum Return {
    /// To this path of ours.
    Admitted(Box<Admission>, String),
    Linked,
    Problem(Problem, Option<String>),
}

/// What the provider has sent back by the browser (RFC 6749, 4.1.2; RFC 9207).
#[derive(Default, Deserialize)]
pub struct Brought {
    pub code: Option<Secret>,
    pub state: Option<Secret>,
    pub error: Option<String>,
    pub iss: Option<String>,
}

/// What the cookie holds.
#[derive(Serialize, Deserialize)]
struct Going {
    provider: Uuid,
    redirect: url::Url,
    state: String,
    nonce: String,
    verifier: String,
    next: String,
    linking: Option<Linking>,
}

/// The session that asked for a link: nobody else's browser can finish it.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Linking {
    user: Uuid,
    session: Uuid,
}

/// Begins to sign in. An unknown or unreachable provider is told in the problem.
pub async fn start(
    app: &App,
    meta: &RequestMeta,
    site: &Site,
    slug: &str,
    next: &str,
) -> Result<std::result::Result<Away, (Problem, Option<String>)>> {
    let Some(row) = providers::by_slug(app.store().reader(), slug).await? else {
        return Ok(Err((Problem::ProviderFailed, None)));
    };
    // Every start asks the provider. The way back may be another server's, so there is nothing to take back.
    app.oidc_starts().enter(&place(meta.ip)).await?;
    if let Some(away) = depart(app, site, &row, own_path(next), None).await? {
        return Ok(Ok(away));
    }
    app.guessed(meta, failed(&row, Problem::ProviderFailed)).await;
    Ok(Err((Problem::ProviderFailed, Some(row.name))))
}

/// A sign-in at a provider that came to nothing before anybody knew whose it was.
fn failed(provider: &oidc_provider::Model, problem: Problem) -> Guess {
    Guess {
        action: Action::LoginFailed,
        actor: Principal::SignIn { username: format!("{} account", provider.slug) },
        user: None,
        account: format!("{}/{}", provider.id, problem.code()),
        detail: json!({ "provider": provider.slug, "problem": problem.code() }),
    }
}

/// Begins to link an account to the session's user.
pub async fn link(ctx: &Ctx, site: &Site, slug: &str) -> Result<Away> {
    ctx.require_proof()?;
    let Principal::User { id, session, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let linking = Linking { user: id.0, session: session.0 };
    let row = providers::by_slug(ctx.store().reader(), slug).await?.ok_or(Error::NotFound)?;
    let away = depart(ctx.app(), site, &row, "/account", Some(linking)).await?;
    away.ok_or_else(|| {
        Error::Unavailable(format!(
            "{} did not answer as expected. Ask an administrator to test this provider.",
            row.name
        ))
    })
}

async fn depart(
    app: &App,
    site: &Site,
    row: &oidc_provider::Model,
    next: &str,
    linking: Option<Linking>,
) -> Result<Option<Away>> {
    let redirect = redirect(site, &row.slug)?;
    let departure = opened(app, row).await?.depart(app, &redirect).await;
    let Departure { url, state, nonce, verifier } = match departure {
        Ok(departure) => departure,
        Err(reason) => {
            tracing::warn!(provider = %row.slug, %reason, "the server cannot use a provider for sign-in");
            return Ok(None);
        }
    };
    let verifier = verifier.expose().to_owned();
    let next = next.to_owned();
    let going = Going { provider: row.id, redirect, state, nonce, verifier, next, linking };
    Ok(Some(Away { url: url.into(), cookie: tickets::issue(app, Kind::Provider, going)? }))
}

/// Ends it: whatever the browser brings is an outcome. Errors are left for too many tries, a full house (users) and faults of ours.
pub async fn finish(
    app: &App,
    meta: RequestMeta,
    slug: &str,
    cookie: Option<&Secret>,
    session: Option<&Principal>,
    brought: Brought,
) -> Result<Return> {
    let row = providers::by_slug(app.store().reader(), slug).await?;
    let Some(row) = row else { return Ok(Return::Problem(Problem::ProviderFailed, None)) };
    let ticket: Option<Ticket<Going>> = match cookie {
        Some(cookie) => tickets::open(app, Kind::Provider, cookie).await,
        None => None,
    };
    let problem = async |problem| {
        app.guessed(&meta, failed(&row, problem)).await;
        Ok(Return::Problem(problem, Some(row.name.clone())))
    };
    let ticket = ticket.filter(|t| {
        let state = Secret::new(t.payload.state.clone());
        t.payload.provider == row.id
            && brought.state.as_ref().is_some_and(|s| state.matches(s.expose().as_bytes()))
    });
    let Some(ticket) = ticket else { return problem(Problem::Expired).await };
    if let Some(error) = &brought.error {
        let denied = error == "access_denied";
        return problem(if denied { Problem::Denied } else { Problem::ProviderFailed }).await;
    }
    // A code that another issuer gave is not taken to this one (RFC 9207).
    if brought.iss.as_ref().is_some_and(|iss| *iss != row.issuer) {
        return problem(Problem::ProviderFailed).await;
    }
    let Some(code) = &brought.code else { return problem(Problem::ProviderFailed).await };
    let asked = ticket.payload.linking;
    if let Some(linking) = asked {
        let same = matches!(session, Some(Principal::User { id, session, .. })
            if id.0 == linking.user && session.0 == linking.session);
        if !same {
            return problem(Problem::Expired).await;
        }
    }
    let Going { redirect, nonce, verifier, next, .. } = &ticket.payload;
    let address = format!("oidc/{}", place(meta.ip));
    // Each try asks the provider with our client's credentials.
    app.throttle().enter([&address]).await?;
    let verifier = Secret::new(verifier.clone());
    let arrival = Arrival { redirect, code, nonce, verifier: &verifier };
    let person = match opened(app, &row).await?.arrive(app, arrival).await {
        Ok(person) => person,
        Err(reason) => {
            tracing::warn!(provider = %row.slug, %reason, "a sign-in at a provider failed");
            return problem(Problem::ProviderFailed).await;
        }
    };
    // The provider has vouched for them, whoever they are here.
    app.throttle().spare(&address).await;
    let outcome = match (asked, session) {
        (Some(_), Some(principal)) => {
            let ctx = app.ctx(principal.clone(), meta.clone());
            keep_link(&ctx, &row, &ticket, person).await?.map(|()| Return::Linked)
        }
        _ => admit(app, meta.clone(), &row, &ticket, person)
            .await?
            .map(|a| Return::Admitted(Box::new(a), next.clone())),
    };
    // The transaction that found the problem has told it.
    Ok(outcome.unwrap_or_else(|why| Return::Problem(why, Some(row.name.clone()))))
}

/// Links the account to the user who asked for it.
async fn keep_link(
    ctx: &Ctx,
    provider: &oidc_provider::Model,
    ticket: &Ticket<Going>,
    person: Person,
) -> Result<std::result::Result<(), Problem>> {
    ctx.record(Action::IdentityLinked, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        tx.about("user", user.id);
        tx.detail(json!({ "provider": provider.slug, "subject": person.subject }));
        let refused = |tx: &mut WriteTx, why| {
            tx.action(Action::IdentityLinkFailed);
            Ok(Err(why))
        };
        if !tickets::spend(tx, ticket).await? {
            return refused(tx, Problem::Expired);
        }
        let taken = user_identity::Entity::find()
            .filter(user_identity::Column::ProviderId.eq(provider.id))
            .filter(
                user_identity::Column::Subject
                    .eq(person.subject.as_str())
                    .or(user_identity::Column::UserId.eq(user.id)),
            )
            .all(tx.conn())
            .await
            .map_err(db)?;
        match taken.as_slice() {
            [] => insert(ctx, tx, user.id, provider.id, &person, false).await.map(Ok),
            [one] if one.user_id == user.id && one.subject == person.subject => Ok(Ok(())),
            _ => refused(tx, Problem::LinkedElsewhere),
        }
    })
    .await
}

/// A session for whoever this is here, or what is still asked for.
async fn admit(
    app: &App,
    meta: RequestMeta,
    provider: &oidc_provider::Model,
    ticket: &Ticket<Going>,
    person: Person,
) -> Result<std::result::Result<Admission, Problem>> {
    let ctx = app.ctx(Principal::SignIn { username: format!("{} account", provider.slug) }, meta.clone());
    let subject = person.subject.clone();
    let mut refused = None;
    let admitted = ctx.record(Action::LoginFailed, async |tx| {
        tx.detail(json!({ "provider": provider.slug, "subject": person.subject, "address": meta.ip }));
        let mut nothing_done = |why, user| {
            refused = Some((why, user));
            Err(Error::Stale)
        };
        if !tickets::spend(tx, ticket).await? {
            return nothing_done(Problem::Expired, None);
        }
        let user = match whoever(&ctx, tx, provider, &person).await? {
            Ok(user) => user,
            Err((why, Some(user))) => {
                tx.about("user", user);
                return Ok(Err(why));
            }
            Err((why, None)) => return nothing_done(why, None),
        };
        if user.disabled_at.is_some() {
            return nothing_done(Problem::Disabled, Some(user.id));
        }
        tx.action(Action::Login);
        tx.detail(json!({ "username": user.username, "provider": provider.slug, "role": user.role }));
        let device = meta.devices.known(app, &user.username_key);
        let proof = Proof::Provider { authenticated_at: person.authenticated_at, device };
        sessions::admit(&ctx, tx, user.id, user.auth_epoch, proof).await.map(Ok)
    });
    let admitted = admitted.await;
    let Some((why, user)) = refused else { return admitted };
    // Anybody with an account at the provider can try as often as they like. The log counts these refusals as it counts guesses.
    tickets::void(app, ticket).await?;
    let mut guess = failed(provider, why);
    guess.user = user;
    guess.detail["subject"] = json!(subject);
    app.guessed(&meta, guess).await;
    Ok(Err(why))
}

/// The user who is linked to this account; a new one, if the provider makes them. A problem comes with the user whom it concerns.
async fn whoever(
    ctx: &Ctx,
    tx: &mut WriteTx,
    provider: &oidc_provider::Model,
    person: &Person,
) -> Result<std::result::Result<user::Model, (Problem, Option<Uuid>)>> {
    let linked = user_identity::Entity::find()
        .filter(user_identity::Column::ProviderId.eq(provider.id))
        .filter(user_identity::Column::Subject.eq(person.subject.as_str()))
        .one(tx.conn())
        .await
        .map_err(db)?;
    let role = role_of(provider, person.groups.as_deref().unwrap_or_default());
    let Some(identity) = linked else {
        if !provider.create_users {
            return Ok(Err((Problem::UnknownUser, None)));
        }
        let Some(role) = role else { return Ok(Err((Problem::NoRole, None))) };
        let username = username(provider, person);
        let taken = user::Entity::find().filter(user::Column::UsernameKey.eq(username.to_lowercase()));
        if taken.count(tx.conn()).await.map_err(db)? > 0 {
            return Ok(Err((Problem::NameTaken, None)));
        }
        let email = person.email.clone().filter(|e| e.len() <= 254);
        let cause = cause(provider, person);
        let user = crate::users::insert(ctx, tx, username, email, String::new(), role, cause).await?;
        insert(ctx, tx, user.id, provider.id, person, true).await?;
        return Ok(Ok(user));
    };
    let found = user::Entity::find_by_id(identity.user_id).one(tx.conn()).await.map_err(db)?;
    let mut user = found.ok_or(Error::NotFound)?;
    if identity.grants_role {
        let Some(role) = role else {
            // Whom the provider gives no access to any more has none: what they have open ends too.
            let id = user.id;
            if !is_last_admin(tx, &user).await? {
                let mut detail = cause(provider, person);
                detail["username"] = json!(user.username);
                tx.tell(Action::AccessWithdrawn, "user", user.id, detail);
                sessions::revoke(ctx, tx, user, Kept::Nothing).await?;
            }
            return Ok(Err((Problem::NoRole, Some(id))));
        };
        if user.role != role.as_str() && !is_last_admin(tx, &user).await? {
            user = crate::users::set_role(ctx, tx, user, role, cause(provider, person)).await?;
        }
    }
    let mut change: user_identity::ActiveModel = identity.into();
    change.last_used_at = Set(Some(ctx.now()));
    change.email = Set(person.email.clone());
    change.update(tx.conn()).await.map_err(db)?;
    Ok(Ok(user))
}

/// Why a user has the role that they have: the provider, and those of the groups that it maps to a role. With none of these it is
/// the default role, or none.
fn cause(provider: &oidc_provider::Model, person: &Person) -> Value {
    let groups = providers::mapped(provider, person.groups.as_deref().unwrap_or_default());
    json!({ "provider": provider.slug, "subject": person.subject, "groups": groups })
}

async fn is_last_admin(tx: &WriteTx, user: &user::Model) -> Result<bool> {
    let admin = Role::Admin.as_str();
    if user.role != admin || user.disabled_at.is_some() {
        return Ok(false);
    }
    let admins = user::Entity::find()
        .filter(user::Column::Role.eq(admin))
        .filter(user::Column::DisabledAt.is_null())
        .count(tx.conn())
        .await
        .map_err(db)?;
    Ok(admins <= 1)
}

async fn insert(
    ctx: &Ctx,
    tx: &WriteTx,
    user: Uuid,
    provider: Uuid,
    person: &Person,
    grants_role: bool,
) -> Result<()> {
    let row = user_identity::Model {
        id: ctx.new_id(),
        user_id: user,
        provider_id: provider,
        subject: person.subject.clone(),
        email: person.email.clone(),
        grants_role,
        linked_at: ctx.now(),
        last_used_at: grants_role.then(|| ctx.now()),
    };
    user_identity::Entity::insert(active(row))
        .exec(tx.conn())
        .await
        .map_err(|e| conflict(&e, "This account is already connected."))?;
    Ok(())
}

/// A name for a new user out of what the provider says, in the letters that names have here.
fn username(provider: &oidc_provider::Model, person: &Person) -> String {
    let spelled = |text: &str| -> String {
        let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
        text.chars().filter(fits).take(rules::USERNAME_MOST).collect()
    };
    let named = person.username.as_deref().or(person.email.as_deref()).map(spelled);
    named
        .filter(|n| !n.is_empty())
        .unwrap_or_else(|| spelled(&format!("{}-{}", provider.slug, person.subject)))
}

/// A path on this server and nothing else: what a link can put into `next` must not lead away.
fn own_path(text: &str) -> &str {
    let ours = text.starts_with('/')
        && !text.starts_with("//")
        && text.len() <= 1024
        && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !text.starts_with("/login");
    if ours { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::own_path;

    #[test]
    fn the_way_back_stays_here() {
        for ours in ["/", "/map", "/inventory?q=a%20b#x", "/a//b"] {
            assert_eq!(own_path(ours), ours);
        }
        for other in [
            "",
            "map",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "javascript:alert(1)",
            " /map",
            "/é",
            "/login?next=/login",
        ] {
            assert_eq!(own_path(other), "/", "{other:?}");
        }
    }
}
