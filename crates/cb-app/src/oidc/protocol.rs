//! What is said to a provider and what it says: discovery, the code flow with PKCE (RFC 7636) and a nonce, and the claims
//! of a verified ID token. Every request goes through the guarded client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::ids::CredentialId;
use cb_core::{Error, Secret};
use cb_net::http::{Limits, OutboundError, Tls};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_store::entities::oidc_provider;
use chrono::TimeDelta;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim,
    CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
    CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse,
    CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndUserEmail, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IdTokenClaims, IdTokenFields, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
    TokenUrl, UserInfoClaims, UserInfoUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use crate::app::App;
use crate::credentials::{self, Kind, Opened, UsedBy};

/// So long a provider's description and keys are taken to be the same.
const KNOWN_FOR: Duration = Duration::from_mins(10);
/// A provider that does not answer is not asked again at once, however many people come.
const FAILED_FOR: Duration = Duration::from_secs(10);
/// How far the provider's clock may be ahead.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// Who has shown the provider something within so long is not asked again there; their session here counts as proved from then
/// on. Asking for it makes the provider say when it was (OpenID Connect Core 1.0, 3.1.2.1).
const ASKED_WITHIN: Duration = Duration::from_mins(10);
/// Where a provider describes itself, behind its issuer.
pub(super) const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// Groups of one person that are looked at.
const GROUPS_MOST: usize = 1000;

/// Every claim that is not a standard one.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Others {
    #[serde(flatten)]
    claims: HashMap<String, Value>,
}

impl AdditionalClaims for Others {}

type Tokens = StandardTokenResponse<
    IdTokenFields<
        Others,
        EmptyExtraTokenFields,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

type Relying = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// What providers have said about themselves, each under its row's id and version.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<Uuid, Remembered>>);

struct Remembered {
    version: i64,
    /// By the steady clock.
    until: Duration,
    answer: Result<Arc<CoreProviderMetadata>, String>,
}

/// Where the browser goes, and what must come back with it.
pub(super) struct Departure {
    pub url: Url,
    pub state: String,
    pub nonce: String,
    pub verifier: Secret,
}

/// What must be known of a sign-in to finish it.
pub(super) struct Arrival<'a> {
    pub redirect: &'a Url,
    pub code: &'a Secret,
    pub nonce: &'a str,
    pub verifier: &'a Secret,
}

/// Somebody, in the words of a provider whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub subject: String,
    pub username: Option<String>,
    /// Only one that the provider has verified.
    pub email: Option<String>,
    /// None when it speaks of none.
    pub groups: Option<Vec<String>>,
    /// When they last showed the provider who they are.
    pub authenticated_at: Option<Time>,
}

/// With what our client proves itself.
pub(super) enum Key {
    /// A public client.
    None,
    Own(Secret),
    /// Opened for each exchange only, and only if it may be sent there.
    Credential(CredentialId),
}

/// A provider's row with what opens it.
pub(super) struct Provider<'a> {
    pub row: &'a oidc_provider::Model,
    pub key: Key,
}

impl Provider<'_> {
    /// Its description and keys; the reason in words when there are none.
    pub async fn describe(&self, app: &App, fresh: bool) -> Result<Arc<CoreProviderMetadata>, String> {
        let now = app.steady();
        if !fresh && let Some(answer) = app.known_providers().recall(self.row, now) {
            return answer;
        }
        let answer = self.discover(app).await.map(Arc::new);
        app.known_providers().remember(self.row, now, answer.clone());
        answer
    }

    async fn discover(&self, app: &App) -> Result<CoreProviderMetadata, String> {
        let known = self.document(app).await?;
        if known.issuer().as_str() != self.row.issuer {
            return Err(format!(
                "its own name is {}, not {}; enter the issuer exactly as the provider spells it",
                known.issuer().as_str(),
                self.row.issuer
            ));
        }
        // The client's secret and the user go there, and there the keys come from that prove who somebody is.
        let endpoints = [
            Some(known.authorization_endpoint().url()),
            known.token_endpoint().map(TokenUrl::url),
            known.userinfo_endpoint().map(UserInfoUrl::url),
            Some(known.jwks_uri().url()),
        ];
        if let Some(plain) = endpoints.into_iter().flatten().find(|url| url.scheme() != "https") {
            return Err(format!("its endpoint {plain} does not use https"));
        }
        let keys: CoreJsonWebKeySet = match self.fetch(app, known.jwks_uri().url()).await? {
            // Some providers without a key answer with an empty object.
            Value::Object(set) if !set.contains_key("keys") => CoreJsonWebKeySet::default(),
            set => serde_json::from_value(set).map_err(|e| format!("its key set cannot be read: {e}"))?,
        };
        if keys.keys().is_empty() {
            return Err("its key set has no keys, so nothing that it signs can be verified; choose a signing key at the provider".to_owned());
        }
        Ok(known.set_jwks(keys))
    }

    /// What it says about itself (OpenID Connect Discovery 1.0, 4).
    async fn document(&self, app: &App) -> Result<CoreProviderMetadata, String> {
        let at = format!("{}{WELL_KNOWN}", self.row.issuer.trim_end_matches('/'));
        let at = Url::parse(&at).map_err(|e| e.to_string())?;
        let document = self.fetch(app, &at).await?;
        serde_json::from_value(document)
            .map_err(|e| format!("{at} is not the description of a sign-in provider: {e}"))
    }

    /// How the provider spells its issuer, if what was typed means the same ([`same_issuer`]).
    pub async fn own_spelling(&self, app: &App) -> Option<String> {
        let known = self.document(app).await.ok()?;
        let (typed, own) = (self.row.issuer.as_str(), known.issuer().as_str());
        (own != typed && same_issuer(own, typed)).then(|| own.to_owned())
    }

    async fn fetch(&self, app: &App, url: &Url) -> Result<Value, String> {
        let request = openidconnect::http::Request::builder()
            .uri(url.as_str())
            .header(openidconnect::http::header::ACCEPT, "application/json")
            .body(Vec::new())
            .map_err(|e| e.to_string())?;
        let answer = send(self.http(app)?, request).await.map_err(|e| reason(&e))?;
        if answer.status() != openidconnect::http::StatusCode::OK {
            return Err(format!("{url} answered with status {}", answer.status()));
        }
        serde_json::from_slice(answer.body()).map_err(|e| format!("{url} did not answer with JSON: {e}"))
    }

    /// Whether the credential may be sent to where its secret would go.
    pub async fn reaches(&self, app: &App, known: &CoreProviderMetadata) -> Result<(), String> {
        let Key::Credential(id) = self.key else { return Ok(()) };
        let (host, port) = exchange_at(known)?;
        let conn = app.store().reader();
        let named = credentials::named(conn, id, Kind::OidcClient, &host, port, "credential_id");
        named.await.map(drop).map_err(|e| words(&e))
    }

    /// The credential, opened for one exchange. The provider says itself where that is, and it need not be the issuer's host.
    async fn credential(&self, app: &App, known: &CoreProviderMetadata) -> Result<Option<Opened>, String> {
        let Key::Credential(id) = self.key else { return Ok(None) };
        let (host, port) = exchange_at(known)?;
        let by = UsedBy {
            kind: "oidc_provider",
            id: Some(self.row.id),
            name: self.row.name.clone(),
            purpose: "sign_in",
        };
        let opened = credentials::open(app, id, Kind::OidcClient, &host, port, by);
        opened.await.map(Some).map_err(|e| words(&e))
    }

    /// Begins a sign-in.
    pub async fn depart(&self, app: &App, redirect: &Url) -> Result<Departure, String> {
        let client = self.relying(&*self.describe(app, false).await?, redirect, None);
        let verifier = PkceCodeVerifier::new(app.entropy().token());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let (state, nonce) = (app.entropy().token(), app.entropy().token());
        let (sent_state, sent_nonce) = (CsrfToken::new(state.clone()), Nonce::new(nonce.clone()));
        let request = client.authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || sent_state,
            move || sent_nonce,
        );
        let scopes = self.scopes().into_iter().filter(|s| s != "openid").map(Scope::new);
        let (url, _, _) =
            request.add_scopes(scopes).set_pkce_challenge(challenge).set_max_age(ASKED_WITHIN).url();
        Ok(Departure { url, state, nonce, verifier: Secret::new(verifier.into_secret()) })
    }

    /// Finishes it: who came.
    pub async fn arrive(&self, app: &App, arrival: Arrival<'_>) -> Result<Person, String> {
        let mut known = self.describe(app, false).await?;
        let http = self.http(app)?;
        let send = |request| send(http.clone(), request);
        let opened = self.credential(app, &known).await?;
        let secret = match (&self.key, &opened) {
            (Key::Own(secret), _) => Some(secret),
            (_, Some(opened)) => opened.secret("client_secret"),
            _ => None,
        };
        let client = self.relying(&known, arrival.redirect, secret);
        let code = AuthorizationCode::new(arrival.code.expose().to_owned());
        let tokens = client
            .exchange_code(code)
            .map_err(|e| e.to_string())?
            .set_pkce_verifier(PkceCodeVerifier::new(arrival.verifier.expose().to_owned()))
            .request_async(&send)
            .await;
        if let Some(opened) = &opened {
            opened.ended(app, tokens.is_ok()).await.map_err(|e| e.to_string())?;
        }
        let tokens = tokens.map_err(|e| reason(&e))?;
        let mut claims = self.verified(app, &known, arrival.redirect, &tokens, arrival.nonce, secret);
        if claims.is_err() {
            // The provider may have new keys since it was last asked.
            known = self.describe(app, true).await?;
            claims = self.verified(app, &known, arrival.redirect, &tokens, arrival.nonce, secret);
        }
        let claims = claims?;
        let mut person = Person {
            subject: claims.subject().as_str().to_owned(),
            username: claims.preferred_username().map(|n| n.as_str().to_owned()),
            email: verified_email(claims.email(), claims.email_verified()),
            groups: self.groups(&claims.additional_claims().claims),
            authenticated_at: claims.auth_time(),
        };
        if (person.groups.is_none() || person.username.is_none()) && known.userinfo_endpoint().is_some() {
            // Many providers say there only what the scopes ask for (OpenID Connect Core 1.0, 5.4).
            let client = self.relying(&known, arrival.redirect, secret);
            let more: UserInfoClaims<Others, CoreGenderClaim> = client
                .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
                .map_err(|e| e.to_string())?
                .request_async(&send)
                .await
                .map_err(|e| reason(&e))?;
            let username = more.preferred_username().map(|n| n.as_str().to_owned());
            person.username = person.username.or(username);
            person.email = person.email.or_else(|| verified_email(more.email(), more.email_verified()));
            person.groups = person.groups.or_else(|| self.groups(&more.additional_claims().claims));
        }
        // OpenID Connect Core 1.0, section 2: at most 255 ASCII characters.
        if person.subject.is_empty() || person.subject.len() > 255 || !person.subject.is_ascii() {
            return Err("the ID of the user (sub) is empty or longer than the standard allows".to_owned());
        }
        if person.subject.chars().any(|c| c.is_ascii_control()) {
            return Err("the ID of the user (sub) contains control characters".to_owned());
        }
        Ok(person)
    }

    /// The claims of the ID token (OpenID Connect Core 1.0, 3.1.3.7): signature, issuer, audience, times, nonce, and that the
    /// access token belongs to it.
    fn verified(
        &self,
        app: &App,
        known: &CoreProviderMetadata,
        redirect: &Url,
        tokens: &Tokens,
        nonce: &str,
        secret: Option<&Secret>,
    ) -> Result<IdTokenClaims<Others, CoreGenderClaim>, String> {
        let now = app.now();
        let client = self.relying(known, redirect, secret);
        let token = tokens.id_token().ok_or("it sent no ID token; check that the scopes include openid")?;
        let verifier = client
            .id_token_verifier()
            .set_time_fn(move || now)
            .set_issue_time_verifier_fn(move |issued| {
                if issued <= now + SKEW {
                    Ok(())
                } else {
                    Err("its time of issue is in the future; compare the clocks".to_owned())
                }
            })
            // Ours must be among the audiences. Others may be, such as the provider's own API.
            .set_other_audience_verifier_fn(|_| true);
        let claims = token.claims(&verifier, &Nonce::new(nonce.to_owned())).map_err(|e| reason(&e))?;
        if let Some(party) = claims.authorized_party().filter(|party| party.as_str() != self.row.client_id) {
            return Err(format!("its ID token was issued to another client ({})", party.as_str()));
        }
        // RFC 7519, 4.1.5; the library does not look at it.
        if let Some(from) = claims.additional_claims().claims.get("nbf") {
            let seconds = from.as_number().and_then(whole_seconds);
            if seconds.is_none_or(|from| from > (now + SKEW).timestamp()) {
                return Err("its ID token is not valid yet; compare the clocks".to_owned());
            }
        }
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = token.signing_alg().map_err(|e| e.to_string())?;
            let key = token.signing_key(&verifier).map_err(|e| e.to_string())?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key);
            // Public hashes of a token that the caller holds, not a guess at a secret.
            if actual.map_err(|e| e.to_string())? != *expected {
                return Err("its access token does not belong to its ID token".to_owned());
            }
        }
        Ok(claims.clone())
    }

    /// The groups in a set of claims, if they speak of any.
    fn groups(&self, claims: &HashMap<String, Value>) -> Option<Vec<String>> {
        match claims.get(&self.row.groups_claim)? {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(many) => {
                let texts = many.iter().filter_map(Value::as_str).map(str::to_owned);
                Some(texts.take(GROUPS_MOST).collect())
            }
            _ => None,
        }
    }

    fn scopes(&self) -> Vec<String> {
        serde_json::from_value(self.row.scopes.clone()).unwrap_or_default()
    }

    fn relying(&self, known: &CoreProviderMetadata, redirect: &Url, secret: Option<&Secret>) -> Relying {
        Client::from_provider_metadata(
            known.clone(),
            ClientId::new(self.row.client_id.clone()),
            secret.map(|s| ClientSecret::new(s.expose().to_owned())),
        )
        .set_redirect_uri(RedirectUrl::from_url(redirect.clone()))
    }

    fn http(&self, app: &App) -> Result<Outbound, String> {
        match &self.row.certificate_sha256 {
            None => Ok(app.outbound().clone()),
            Some(pin) => Ok(app.outbound().trusting(Tls::Pinned(pin.parse().map_err(str::to_owned)?))),
        }
    }
}

/// Whether two spellings name the same issuer: the final slash, the case of scheme and host, and the port of https may differ.
pub(super) fn same_issuer(one: &str, other: &str) -> bool {
    let plain = |text: &str| {
        let url = Url::parse(text).map_or_else(|_| text.to_owned(), String::from);
        url.trim_end_matches('/').to_owned()
    };
    plain(one) == plain(other)
}

/// Whole seconds since 1970 (RFC 7519, section 2: a fraction is permitted); none of a number that is no time.
fn whole_seconds(number: &serde_json::Number) -> Option<i64> {
    /// In the year 33658.
    const LAST: f64 = 1e12;
    let seconds = number.as_f64().filter(|seconds| seconds.abs() < LAST)?;
    #[expect(clippy::cast_possible_truncation, reason = "the line above bounds it")]
    Some(seconds.floor() as i64)
}

fn verified_email(email: Option<&EndUserEmail>, verified: Option<bool>) -> Option<String> {
    let printable = |e: &&EndUserEmail| !e.as_str().chars().any(char::is_control);
    email
        .filter(|e| verified == Some(true) && e.as_str().len() <= 254)
        .filter(printable)
        .map(|e| e.as_str().to_owned())
}

/// A provider may stand in the user's own network.
async fn send(http: Outbound, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
    http.send(Policy::Lan, request, Limits::default()).await
}

impl Known {
    fn recall(
        &self,
        row: &oidc_provider::Model,
        now: Duration,
    ) -> Option<Result<Arc<CoreProviderMetadata>, String>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&row.id).filter(|k| k.version == row.version && k.until > now).map(|k| k.answer.clone())
    }

    /// There are as many as there are providers, and of these there are few.
    fn remember(
        &self,
        row: &oidc_provider::Model,
        now: Duration,
        answer: Result<Arc<CoreProviderMetadata>, String>,
    ) {
        let until = now + if answer.is_ok() { KNOWN_FOR } else { FAILED_FOR };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, k| k.until > now);
        known.insert(row.id, Remembered { version: row.version, until, answer });
    }
}

/// Where a code is exchanged.
fn exchange_at(known: &CoreProviderMetadata) -> Result<(String, u16), String> {
    let url = known.token_endpoint().ok_or("it has no token endpoint")?.url();
    let host = url.host_str().ok_or("its token endpoint has no host")?;
    Ok((host.to_owned(), url.port_or_known_default().unwrap_or(443)))
}

/// What is wrong with a credential.
fn words(error: &Error) -> String {
    match error {
        Error::Invalid(wrong) => wrong.iter().map(|w| w.reason.as_str()).collect::<Vec<_>>().join(" "),
        Error::Conflict(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// An error with what lies beneath it: the outermost words alone say little.
fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = inner.source();
    }
    text.chars().filter(|c| !c.is_control()).take(500).collect()
}
