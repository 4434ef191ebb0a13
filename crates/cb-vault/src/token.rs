//! Tokens: what is signed (sessions), what is derived (CSRF), what is stored hashed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_core::clock::Time;
use cb_core::{Error, Result, Secret, hex};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    sid: String,
}

/// Whether a token asks its reader for no extension (`crit`, RFC 7515, 4.1.11). This server understands none.
pub fn asks_for_no_extension(token: &str) -> bool {
    let head = token.split('.').next().unwrap_or_default();
    let head = URL_SAFE_NO_PAD.decode(head).ok();
    let head = head.and_then(|raw| serde_json::from_slice::<Map<String, Value>>(&raw).ok());
    head.is_some_and(|head| !head.contains_key("crit"))
}

/// How long a browser is known after it has signed in.
pub const DEVICE_LIVES: Duration = Duration::from_hours(365 * 24);

/// Signs and reads session tokens, and derives each session's CSRF token.
pub struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
    csrf_key: Secret,
    device_key: Secret,
    name_key: Secret,
    request_key: Secret,
}

impl Signer {
    /// `secret` is `CB_JWT_SECRET` or the one made at first start.
    pub fn new(secret: &Secret) -> Self {
        let bytes = secret.expose().as_bytes();
        Self {
            encoding: EncodingKey::from_secret(bytes),
            decoding: DecodingKey::from_secret(bytes),
            csrf_key: Secret::new(mac(bytes, b"csrf-key")),
            device_key: Secret::new(mac(bytes, b"device-key")),
            name_key: Secret::new(mac(bytes, b"name-key")),
            request_key: Secret::new(mac(bytes, b"request-key")),
        }
    }

    pub fn session(&self, sid: &str, issued: Time, expires: Time) -> Result<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: expires.timestamp(),
            iat: issued.timestamp(),
            nbf: None,
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
        rules.validate_nbf = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &rules).ok()?.claims;
        // `iat` may be in the future after a clock was set back. The server signed the token, and its session's row ends with it.
        let now = now.timestamp();
        let timely = claims.exp > now && claims.nbf.is_none_or(|from| from <= now);
        (timely && asks_for_no_extension(token)).then_some(claims.sid)
    }

    pub fn csrf(&self, sid: &str) -> String {
        mac(self.csrf_key.expose().as_bytes(), sid.as_bytes())
    }

    /// Marks a browser in which the holder of `account` has signed in. It says neither whose it is nor can it be made elsewhere.
    pub fn device(&self, account: &str, nonce: &str, issued: Time) -> String {
        let issued = issued.timestamp();
        let proof =
            mac(self.device_key.expose().as_bytes(), format!("{account}\n{nonce}\n{issued}").as_bytes());
        format!("{issued}.{nonce}.{proof}")
    }

    /// What tells this browser from others, if it is one in which the holder of `account` has signed in.
    pub fn read_device(&self, account: &str, value: &str, now: Time) -> Option<String> {
        let (issued, rest) = value.split_once('.')?;
        let (nonce, proof) = rest.split_once('.')?;
        let issued = Time::from_timestamp(issued.parse().ok()?, 0)?;
        let made = self.device(account, nonce, issued);
        let ours = Secret::new(made.rsplit_once('.')?.1.to_owned()).matches(proof.as_bytes());
        // One of the future was made before the clock was set back.
        let lives = (now - issued).to_std().unwrap_or_default() < DEVICE_LIVES;
        (ours && lives).then(|| nonce.to_owned())
    }

    /// Stands for a text that must not be kept: equal for equal texts, and nobody without the server's secret can try texts
    /// against it.
    pub fn alias(&self, text: &str) -> String {
        mac(self.name_key.expose().as_bytes(), text.as_bytes()).chars().take(12).collect()
    }

    /// Tells one request from others. A request may hold a password, so nobody without the server's secret can try texts against it.
    pub fn fingerprint(&self, request: &[u8]) -> String {
        mac(self.request_key.expose().as_bytes(), request)
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
        let extended = |crit: &str| {
            signed(
                &format!(r#"{{"alg":"HS256","typ":"JWT","crit":{crit}}}"#),
                &serde_json::to_string(&good).expect("JSON"),
            )
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
            ("not good yet", with("nbf", (now.timestamp() + 1).into())),
            ("not good before a text", with("nbf", "0".into())),
            ("an extension that nobody knows", extended(r#"["exp"]"#)),
            ("no extension, and it says so", extended("[]")),
            ("an extension that is no list", extended(r#""b64""#)),
            ("an extension that is null", extended("null")),
        ] {
            assert_eq!(ours.read_session(&forged, now), None, "{what}");
        }
        let begun = with("nbf", now.timestamp().into());
        assert_eq!(ours.read_session(&begun, now).as_deref(), Some("x"), "good from now on");
        // The clock was set back by a day since.
        let ahead = with("iat", (now.timestamp() + 86_400).into());
        assert_eq!(ours.read_session(&ahead, now).as_deref(), Some("x"));
        // A key that the token itself brings or names is not looked at.
        let mut header = hs256.clone();
        header.kid = Some("../../dev/null".to_owned());
        assert_eq!(ours.read_session(&made(&header, &good), now).as_deref(), Some("x"));
    }

    #[test]
    fn a_known_browser_is_known_for_one_account_and_for_a_year() {
        let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).single().expect("a date");
        let ours = signer("one secret of thirty-two letters..");
        let value = ours.device("ada", "n0nce", now);
        assert!(!value.contains("ada"));
        let read = |account: &str, value: &str, now| ours.read_device(account, value, now);
        assert_eq!(read("ada", &value, now).as_deref(), Some("n0nce"));
        assert_eq!(read("ada", &value, now + Duration::days(364)).as_deref(), Some("n0nce"));
        assert_eq!(
            read("ada", &value, now - Duration::days(1)).as_deref(),
            Some("n0nce"),
            "a clock set back"
        );
        assert_eq!(read("ada", &value, now + Duration::days(365)), None, "too old");
        assert_eq!(read("eve", &value, now), None, "another account");
        let later = value.replace(&now.timestamp().to_string(), &(now.timestamp() + 1).to_string());
        for forged in
            [later.as_str(), &value.replace("n0nce", "other"), "", "..", "1.2.3", &format!("{value}x")]
        {
            assert_eq!(read("ada", forged, now), None, "{forged}");
        }
        assert_eq!(signer("another secret of thirty-two letters").read_device("ada", &value, now), None);
    }

    #[test]
    fn an_alias_is_equal_for_equal_texts_and_another_elsewhere() {
        let ours = signer("one secret of thirty-two letters..");
        assert_eq!(ours.alias("hunter2"), ours.alias("hunter2"));
        assert_ne!(ours.alias("hunter2"), ours.alias("hunter3"));
        assert_ne!(ours.alias("hunter2"), signer("another secret of thirty-two letters").alias("hunter2"));
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
