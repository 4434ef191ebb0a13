//! Reading inputs. Whatever is wrong is named: the field, the reason, the mend.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use cb_core::Error;
use cb_core::objects::Objects;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::problem::Problem;

/// A body must have arrived by then.
const BODY_TIME: Duration = Duration::from_secs(15);

/// A JSON body. 415 when it is not said to be JSON, 413 when it is longer than 1 MiB, 408 when it is
/// too slow, 400 when it is no JSON, 422 when a field is wrong.
pub struct Json<T>(pub T);

pub fn not_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "not_json",
        "The body must be JSON: send it with Content-Type: application/json",
    )
}

/// Whether a body is said to be JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let said =
        headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).and_then(|v| v.split(';').next());
    said.is_some_and(|v| v.trim().eq_ignore_ascii_case("application/json"))
}

pub fn too_slow(most: Duration) -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "too_slow",
        format!("The body must arrive within {} seconds", most.as_secs()),
    )
}

pub fn unreadable() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "unreadable", "The body could not be read completely")
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let Body(bytes) = Body::from_request(request, state).await?;
        parse(&bytes).map(Self)
    }
}

/// A body as it came.
pub struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = tokio::time::timeout(BODY_TIME, Bytes::from_request(request, state)).await;
        let bytes = read.map_err(|_| too_slow(BODY_TIME))?.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body can have at most 1 MiB.")
            }
            _ => unreadable(),
        })?;
        Ok(Self(bytes))
    }
}

/// Whether a JSON text contains the character U+0000, which PostgreSQL cannot keep and no name has. JSON writes it as an escape only
/// (RFC 8259, section 7), and an escape begins with a backslash that is not itself escaped.
fn has_nul(json: &[u8]) -> bool {
    json.windows(6).enumerate().any(|(at, six)| {
        six == b"\\u0000" && json[..at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 0
    })
}

/// The first field of an input with such a text in it.
fn nul_in(value: &serde_json::Value) -> Option<String> {
    let has = |value: &serde_json::Value| has_nul(value.to_string().as_bytes());
    value.as_object()?.iter().find(|(name, value)| name.contains('\0') || has(value)).map(|(name, _)| {
        // What is no name of a field is not repeated.
        if name.contains('\0') { "body".to_owned() } else { name.clone() }
    })
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if has_nul(bytes) {
        let field = serde_json::from_slice(bytes).ok().and_then(|value| nul_in(&value));
        let field = field.unwrap_or_else(|| "body".to_owned());
        return Err(Problem::invalid(field, "The text contains the character U+0000. Remove it."));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Objects::over(&mut reader)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        // Of a number where a word is wanted serde says that it is no JSON.
        let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
        if inner.is_data() || is_json() { wrong_field(&path, &inner.to_string()) } else { syntax(&inner) }
    })?;
    reader.end().map_err(|e| syntax(&e))?;
    Ok(value)
}

fn syntax(error: &serde_json::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed", format!("The body is not JSON: {error}"))
}

/// Serde's words for a field, as a field and a reason.
fn wrong_field(path: &str, message: &str) -> Problem {
    let message = message.split(" at line ").next().unwrap_or(message);
    let quoted = message.split('`').nth(1);
    let within = |name: &str| if path == "." { name.to_owned() } else { format!("{path}.{name}") };
    match quoted {
        // The path of an unknown field already ends with its name.
        Some(name) if message.starts_with("unknown field") => {
            let field = if path == name || path.ends_with(&format!(".{name}")) {
                path.to_owned()
            } else {
                within(name)
            };
            let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
            let known =
                if known.is_empty() { String::new() } else { format!(" Its fields: {}.", known.join(", ")) };
            Problem::invalid(field, format!("This input does not have this field.{known}"))
        }
        Some(name) if message.starts_with("missing field") => {
            Problem::invalid(within(name), "This field is required.")
        }
        _ if message.starts_with("unknown variant") => {
            Problem::invalid(if path == "." { "body" } else { path }, one_of(message))
        }
        _ => {
            let field = if path == "." { "body" } else { path };
            match message.rsplit_once(", expected ") {
                // Not what was given: somebody may have put a secret there.
                Some((given, wanted)) if given.starts_with("invalid ") => {
                    Problem::invalid(field, format!("This value is not valid. The server expects {wanted}."))
                }
                _ => Problem::invalid(field, other(message)),
            }
        }
    }
}

/// The known values of serde's ``unknown variant `x`, expected one of `a`, `b` ``, without the given one: somebody may have put a
/// secret there.
fn one_of(message: &str) -> String {
    let known = message.rsplit_once(", expected ").map_or("", |(_, known)| known);
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    match known[..] {
        [] => "This value is not valid.".to_owned(),
        [only] => format!("The only valid value is {only}."),
        _ => format!("Choose one of these: {}.", known.join(", ")),
    }
}

/// A reason for a parameter, from what serde or the type's own reader says.
fn wrong_parameter(message: &str) -> String {
    const NO_NUMBER: [&str; 5] = [
        "invalid digit found in string",
        "cannot parse integer from empty string",
        "number too large to fit in target type",
        "number too small to fit in target type",
        "number would be zero for non-zero type",
    ];
    if message.starts_with("unknown variant") {
        one_of(message)
    } else if message.starts_with("unknown field") {
        let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
        format!("There is no such parameter here. The parameters are {}.", known.join(", "))
    } else if message.starts_with("missing field") {
        "This field is required.".to_owned()
    } else if message.starts_with("duplicate field") {
        "Give this parameter only once.".to_owned()
    } else if NO_NUMBER.contains(&message) {
        "Enter a whole number in the valid range.".to_owned()
    } else {
        other(message)
    }
}

/// Our own readers give whole sentences; those of libraries do not.
fn other(message: &str) -> String {
    if message.ends_with('.') { message.to_owned() } else { format!("This value is not valid: {message}.") }
}

/// An id in the path. What is no id names nothing: 404.
pub struct Id<T>(pub T);

impl<T: From<Uuid>, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(text) = axum::extract::Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::not_found())?;
        Uuid::try_parse(&text).map(|id| Self(id.into())).map_err(|_| Problem::not_found())
    }
}

/// Two ids in the path, of a thing and of one of its parts.
pub struct Part<T, U>(pub T, pub U);

impl<T: From<Uuid>, U: From<Uuid>, S: Send + Sync> FromRequestParts<S> for Part<T, U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path((whole, part)) =
            axum::extract::Path::<(Uuid, Uuid)>::from_request_parts(parts, state)
                .await
                .map_err(|_| Problem::not_found())?;
        Ok(Self(whole.into(), part.into()))
    }
}

/// The query. A parameter that is unknown or wrong is a 422 that names it.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::<T>::try_from_uri(&parts.uri).map(|q| Self(q.0)).map_err(|rejection| {
            use std::error::Error as _;
            let said = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
            let (field, reason) = match said.split_once(": ") {
                Some((field, reason)) if !field.contains(' ') => (field.to_owned(), wrong_parameter(reason)),
                _ => (said.split('`').nth(1).unwrap_or("query").to_owned(), wrong_parameter(&said)),
            };
            Problem::invalid(field, reason)
        })
    }
}

/// The version that the caller has read, from `If-Match`; none when they do not care.
pub struct IfMatch(pub Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.trim_start_matches("W/").trim_matches('"').parse();
        number.map(|n| Self(Some(n))).map_err(|_| Error::Stale.into())
    }
}

/// A single thing with its version as `ETag`.
pub struct Versioned<T>(pub i64, pub T);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.1).into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.0)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Input {
        name: String,
        at: Vec<u8>,
    }

    fn answer(body: &str) -> String {
        let problem = super::parse::<Input>(body.as_bytes()).expect_err(body);
        String::from_utf8(problem.body("r")).expect("text")
    }

    #[test]
    fn a_nul_is_told_from_the_text_that_looks_like_one() {
        assert!(!super::has_nul(br#"{"name":"a\\u0000"}"#) && !super::has_nul(b"u0000"));
        assert!(super::has_nul(br#""\u0000""#));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, status, says) in [
            ("", 400, "not JSON"),
            ("{", 400, "not JSON"),
            (r#"{"name":"a","at":[]} x"#, 400, "not JSON"),
            (r#"{"name":"a"}"#, 422, r#""field":"at","reason":"This field is required.""#),
            (r#"{"name":1,"at":[]}"#, 422, r#""field":"name""#),
            (r#"{"name":"a","at":[1,999]}"#, 422, r#""field":"at[1]""#),
            (
                r#"{"name":"a","at":[],"role":"admin"}"#,
                422,
                r#""field":"role","reason":"This input does not have this field. Its fields: name, at."#,
            ),
            ("[]", 422, r#""field":"#),
            (
                r#"{"name":"a\u0000","at":[]}"#,
                422,
                r#""field":"name","reason":"The text contains the character U+0000"#,
            ),
            (r#"{"name":"a\\\u0000","at":[]}"#, 422, "U+0000"),
        ] {
            let answer = answer(body);
            assert!(
                answer.contains(&format!("\"status\":{status}")) && answer.contains(says),
                "{body}: {answer}"
            );
        }
    }
}
