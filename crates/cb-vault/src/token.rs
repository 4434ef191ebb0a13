//! Tokens: what is signed (sessions), what is derived (CSRF), what is stored hashed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_core::clock::Time;
use cb_core::{Error, Result, Secret, hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const ISSUER: &str = "circuit-breaker";
const AUDIENCE: &str = "circuit-breaker:session";

/// SHA-256 of a high-entropy token, in hex: what the database keeps of it.
pub fn hash(token: &str) -> String {
    hash_bytes(token.as_bytes())
}

/// The same of what somebody sent, which need be no text.
pub fn hash_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// What a session cookie says (RFC 7519). `sid` must still name a live session row.
#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    iat: i64,
    sid: String,
}

/// Signs and reads session tokens, and derives each session's CSRF token.
pub struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    csrf_key: Secret,
}

impl Signer {
    /// `secret` is `CB_JWT_SECRET` or the one made at first start.
    pub fn new(secret: &Secret) -> Self {
        let bytes = secret.expose().as_bytes();
        Self {
            encoding: EncodingKey::from_secret(bytes),
            decoding: DecodingKey::from_secret(bytes),
            csrf_key: Secret::new(mac(bytes, b"csrf-key")),
        }
    }

    pub fn session(&self, sid: &str, issued: Time, expires: Time) -> Result<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: expires.timestamp(),
            iat: issued.timestamp(),
            sid: sid.to_owned(),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).map_err(Error::internal)
    }

    /// The `sid` of a token that we signed for a session and that has not expired at `now`.
    pub fn read_session(&self, token: &str, now: Time) -> Option<String> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        // The library reads the system's clock; ours is a parameter.
        rules.validate_exp = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules).ok()?.claims;
        // It may seem to be of the future, where a clock was set back: we have signed it, and its session's row ends with it.
        (claims.exp > now.timestamp()).then_some(claims.sid)
    }

    pub fn csrf(&self, sid: &str) -> String {
        mac(self.csrf_key.expose().as_bytes(), sid.as_bytes())
    }

    pub fn csrf_matches(&self, sid: &str, candidate: &[u8]) -> bool {
        Secret::new(self.csrf(sid)).matches(candidate)
    }
}

fn mac(key: &[u8], message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;
    use chrono::{Duration, TimeZone as _, Utc};

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    use super::{AUDIENCE, ISSUER, Signer};

    fn signer(secret: &str) -> Signer {
        Signer::new(&Secret::new(secret.to_owned()))
    }

    #[test]
    fn a_session_token_reads_back_until_it_expires_and_only_here() {
        let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a date");
        let ours = signer("one secret of thirty-two letters..");
        let token = ours.session("sid-1", now, now + Duration::hours(1)).expect("signs");
        assert_eq!(ours.read_session(&token, now).as_deref(), Some("sid-1"));
        assert_eq!(ours.read_session(&token, now + Duration::hours(1)), None);
        assert_eq!(signer("another secret of thirty-two letters").read_session(&token, now), None);
    }

    #[test]
    fn an_unsigned_token_and_another_purpose_are_refused() {
        let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a date");
        let ours = signer("one secret of thirty-two letters..");
        // {"alg":"none"} . {"iss":"circuit-breaker","aud":"circuit-breaker:session","exp":9999999999,"iat":0,"sid":"x"}
        let none = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJjaXJjdWl0LWJyZWFrZXIiLCJhdWQiOiJjaXJjdWl0LWJyZWFrZXI6c2Vzc2lvbiIsImV4cCI6OTk5OTk5OTk5OSwiaWF0IjowLCJzaWQiOiJ4In0.";
        assert_eq!(ours.read_session(none, now), None);
        assert_eq!(ours.read_session("", now), None);
    }

    /// What is known to have fooled others (RFC 8725).
    #[test]
    fn a_token_that_is_not_exactly_ours_is_refused() {
        let secret = "one secret of thirty-two letters..";
        let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a date");
        let ours = signer(secret);
        let good = serde_json::json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": now.timestamp() + 60, "iat": now.timestamp(), "sid": "x",
        });
        let made = |header: &Header, claims: &serde_json::Value| {
            jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret.as_bytes()))
                .expect("encodes")
        };
        let hs256 = Header::new(Algorithm::HS256);
        let token = made(&hs256, &good);
        assert_eq!(ours.read_session(&token, now).as_deref(), Some("x"), "the control");
        let with = |key: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[key] = value;
            made(&hs256, &claims)
        };
        let without = |key: &str| {
            let mut claims = good.clone();
            claims.as_object_mut().expect("an object").remove(key);
            made(&hs256, &claims)
        };
        let parts: Vec<&str> = token.split('.').collect();
        let raw = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = |head: &str, claims: &str| {
            let message = format!("{}.{}", raw(head), raw(claims));
            format!("{message}.{}", super::mac(secret.as_bytes(), message.as_bytes()))
        };
        let twice = format!(
            r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{},"iat":0,"sid":"y","sid":"x"}}"#,
            now.timestamp() + 60
        );
        for (what, forged) in [
            ("another algorithm", made(&Header::new(Algorithm::HS512), &good)),
            ("none", format!("{}.{}.", raw(r#"{"alg":"none","typ":"JWT"}"#), parts[1])),
            ("None with our signature", format!("{}.{}.{}", raw(r#"{"alg":"None"}"#), parts[1], parts[2])),
            ("no signature", format!("{}.{}.", parts[0], parts[1])),
            ("a trimmed signature", token[..token.len() - 2].to_owned()),
            ("a fourth part", format!("{token}.x")),
            ("another purpose", with("aud", "circuit-breaker:mfa".into())),
            ("another issuer", with("iss", "elsewhere".into())),
            ("expired", with("exp", now.timestamp().into())),
            ("no end", without("exp")),
            ("no audience", without("aud")),
            ("no session", without("sid")),
            ("a claim twice", signed(r#"{"alg":"HS256","typ":"JWT"}"#, &twice)),
            ("padded", format!("{token}=")),
            ("with space around it", format!(" {token}")),
            ("no issuer", without("iss")),
            ("no beginning", without("iat")),
            ("for two audiences", with("aud", serde_json::json!([AUDIENCE, "circuit-breaker:mfa"]))),
            ("an audience that only begins so", with("aud", format!("{AUDIENCE}:x").into())),
            ("an end that is a text", with("exp", "9999999999".into())),
            ("an end before the beginning of time", with("exp", (-1).into())),
            (
                "an end that is no number",
                signed(r#"{"alg":"HS256","typ":"JWT"}"#, &twice.replace("\"sid\":\"y\"", "\"exp\":1e999")),
            ),
            (
                "the audience twice",
                signed(
                    r#"{"alg":"HS256","typ":"JWT"}"#,
                    &format!(
                        r#"{{"iss":"{ISSUER}","aud":"circuit-breaker:mfa","aud":"{AUDIENCE}","exp":{},"iat":0,"sid":"x"}}"#,
                        now.timestamp() + 60
                    ),
                ),
            ),
            (
                "the algorithm twice",
                signed(r#"{"alg":"none","alg":"HS256"}"#, &serde_json::to_string(&good).expect("JSON")),
            ),
            ("signed with nothing", {
                let message = format!("{}.{}", parts[0], parts[1]);
                format!("{message}.{}", super::mac(b"", message.as_bytes()))
            }),
            ("the CSRF token in a session's place", ours.csrf("x")),
        ] {
            assert_eq!(ours.read_session(&forged, now), None, "{what}");
        }
        // The clock was set back by a day since.
        let ahead = with("iat", (now.timestamp() + 86_400).into());
        assert_eq!(ours.read_session(&ahead, now).as_deref(), Some("x"));
        // A key that the token itself brings or names is not looked at.
        let mut header = hs256.clone();
        header.kid = Some("../../dev/null".to_owned());
        assert_eq!(ours.read_session(&made(&header, &good), now).as_deref(), Some("x"));
    }

    #[test]
    fn a_csrf_token_belongs_to_its_session() {
        let ours = signer("one secret of thirty-two letters..");
        let token = ours.csrf("sid-1");
        assert!(ours.csrf_matches("sid-1", token.as_bytes()));
        assert!(!ours.csrf_matches("sid-2", token.as_bytes()));
        assert!(!ours.csrf_matches("sid-1", b""));
    }
}
