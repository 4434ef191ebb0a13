//! Keeps secrets out of what is remembered of an answer: a service that echoes the request would put them into the log of
//! deliveries, which more people may read than may know the secret.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use cb_core::Secret;
use cb_core::form::Secrets;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::{Answer, End};

/// So many bytes of a secret in a row are taken for the secret: an echo may be cut.
const PART: usize = 12;

pub(super) struct Hidden(Vec<Secret>);

impl Hidden {
    pub(super) fn of(secrets: &Secrets) -> Self {
        let mut hidden = Self(Vec::new());
        hidden.also(secrets.values().flat_map(|secret| forms(secret.expose())).collect());
        hidden
    }

    /// Further texts that nobody sees.
    pub(super) fn also(&mut self, texts: Vec<String>) {
        let bare = texts.into_iter().map(|text| bare(&text)).filter(|text| !text.is_empty());
        self.0.extend(bare.map(Secret::new));
    }

    /// Takes out of `answer`, to a service that said `whole`, what would show a secret.
    pub(super) fn keep(&self, answer: &mut Answer, whole: &str) {
        let echoed = self.shown_in(whole);
        let shows = |text: &str| echoed || self.shown_in(text) || self.partly_in(text);
        if answer.excerpt.as_deref().is_some_and(shows) {
            answer.excerpt = Some("(not shown, because it contains a secret of the channel)".to_owned());
        }
        if answer.error.as_deref().is_some_and(|error| self.shown_in(error) || self.partly_in(error)) {
            let refused = "it refuses the message; its answer is not shown, because it contains a secret of the channel";
            let later = "it failed; the reason is not shown, because it contains a secret of the channel";
            answer.error = Some(if answer.end == End::Retry { later } else { refused }.to_owned());
        }
    }

    fn shown_in(&self, text: &str) -> bool {
        let text = bare(text);
        self.0.iter().any(|secret| text.contains(secret.expose()))
    }

    /// Texts are short here: at most an excerpt.
    fn partly_in(&self, text: &str) -> bool {
        let text = bare(text);
        let mut parts = text.as_bytes().windows(PART);
        parts.any(|part| self.0.iter().any(|secret| has(secret.expose().as_bytes(), part)))
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq(part))
}

/// As it is compared: no case, for escapes differ in it, and nothing that an excerpt leaves out.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).flat_map(char::to_lowercase).collect()
}

/// What a secret looks like in a request and in a text about one. Of an address it is what follows the host.
fn forms(secret: &str) -> Vec<String> {
    let url = Url::parse(secret).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else { return written(secret) };
    let read = format!("{}{}", url.path(), url.query().map(|query| format!("?{query}")).unwrap_or_default());
    let typed = secret.splitn(4, '/').nth(3).unwrap_or_default();
    if typed.is_empty() { Vec::new() } else { [written(&read), written(typed)].concat() }
}

fn written(text: &str) -> Vec<String> {
    let json = serde_json::Value::from(text).to_string();
    let json = json.get(1..json.len() - 1).unwrap_or_default();
    vec![
        text.to_owned(),
        json.to_owned(),
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        STANDARD.encode(text),
        STANDARD_NO_PAD.encode(text),
        URL_SAFE_NO_PAD.encode(text),
    ]
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;
    use cb_core::form::Secrets;

    use super::Hidden;
    use crate::{Answer, End};

    fn kept(secret: &str, said: &str, excerpt: &str, error: &str) -> Answer {
        let secrets: Secrets = [("x".to_owned(), Secret::new(secret.to_owned()))].into();
        let mut answer = Answer::failed(End::Refused, error);
        answer.excerpt = Some(excerpt.to_owned());
        Hidden::of(&secrets).keep(&mut answer, said);
        answer
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_and_in_part() {
        let hides = |secret: &str, text: &str| {
            let answer = kept(secret, "", text, text);
            let said = format!("{:?} {:?}", answer.excerpt, answer.error);
            assert!(
                !said.contains(text) && said.contains("not shown") && said.contains("refuses the message"),
                "{said}"
            );
        };
        let secret = "gehe/im+\"Ä 4711 abcdefghijkl";
        hides(secret, "no such key gehe/im+\"Ä 4711 abcdefghijkl");
        hides(secret, "no such key GEHE/IM+\"Ä 4711\n ABCDEFGHIJKL");
        hides(secret, "/x?key=gehe%2fim%2b%22%c3%84%204711%20abcdefghijkl");
        hides(secret, "key=gehe%2Fim%2B%22%C3%84+4711+abcdefghijkl&x=1");
        hides(secret, r#"{"key":"gehe/im+\"Ä 4711 abcdefghijkl"}"#);
        hides(secret, "Z2VoZS9pbSsiw4QgNDcxMSBhYmNkZWZnaGlqa2w=");
        hides(secret, "cut off: 4711 abcdefghi");
        hides("https://discord.com/api/webhooks/1/abcdef", "POST /api/webhooks/1/abcdef HTTP/1.1");
        hides("https://ha.lan/api/hook?key=ä&b=geheim", "/api/hook?key=%c3%a4&b=geheim");
        hides("https://ha.lan/api/hook?key=ä&b=geheim", "/api/hook?key=ä&b=geheim");
        hides("abc", "no such key abc");
    }

    #[test]
    fn what_shows_no_secret_stays() {
        let answer = kept(
            "https://discord.com/api/webhooks/1/abcdef",
            "",
            "Unknown Webhook",
            "see https://discord.com/",
        );
        assert_eq!(answer.excerpt.as_deref(), Some("Unknown Webhook"));
        assert_eq!(answer.error.as_deref(), Some("see https://discord.com/"));
    }

    /// The excerpt is the beginning only, and could end in the middle of a short secret.
    #[test]
    fn the_whole_answer_counts() {
        assert_eq!(
            kept("hunter2", "{… hunter2 …}", "{… hunt", "no").excerpt.as_deref().map(|t| &t[..10]),
            Some("(not shown")
        );
    }
}
