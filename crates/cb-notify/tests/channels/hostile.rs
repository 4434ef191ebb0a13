//! A device may call itself what it likes.

use cb_core::Severity;
use cb_notify::channels::Kind;
use serde_json::Value;

use crate::server::{Heard, Server, reply};
use crate::{http, notice, tell};

const NAME: &str =
    "<b>&\"*_[x](y)</b> <!channel> <@U1> @everyone @room `a` ~~b~~ |c| #d\r\nBcc: x@y.z\u{202e}\u{0}";

/// The same as one line that shows nothing more than it says.
const SHOWN: &str = "<b>&\"*_[x](y)</b> <!channel> <@U1> @everyone @room `a` ~~b~~ |c| #d Bcc: x@y.z";

async fn asked(kind: Kind, title: &str, text: &str) -> Heard {
    let server = Server::start(|_| reply(200, "ok")).await;
    tell(kind, &server, &notice(Severity::Warning, title, text)).await;
    server.only()
}

/// Every text in a body.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Object(all) => all.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[tokio::test]
async fn a_name_formats_nothing_links_nothing_and_wakes_nobody() {
    let heard = asked(Kind::Discord, NAME, NAME).await;
    let body = heard.json();
    // What a phone shows looks as it is.
    let content = body["content"].as_str().expect("a title");
    assert_eq!(content.replace('\u{200b}', ""), SHOWN);
    for mark in ["<b", "](", "<!", "<@", "@everyone", "@room", "~~"] {
        assert!(!content.contains(mark), "{mark}: {content}");
    }
    assert!(!body["embeds"][0]["title"].as_str().expect("a link").contains("b>"));
    let description = body["embeds"][0]["description"].as_str().expect("text");
    assert!(
        description.replace('\u{200b}', "").starts_with(
            "\\<b>&\"\\*\\_\\[x\\](y)\\</b> \\<!channel> \\<@U1> @everyone @room \\`a\\` \\~\\~b\\~\\~ \\|c\\| #d\nBcc: x@y.z"
        ),
        "{description}"
    );
    assert_eq!(body["allowed_mentions"], serde_json::json!({ "parse": [] }));

    let heard = asked(Kind::Slack, NAME, NAME).await;
    let text = heard.json()["text"].as_str().expect("text").replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&amp;", "&");
    let body = SHOWN.replace(" Bcc:", "\nBcc:");
    assert!(
        text.replace('\u{200b}', "").starts_with(&format!("{SHOWN}\n{body}\n<https://cb.lan/")),
        "{text}"
    );
    for mark in ["](", "<!", "<@", "@everyone", "@room", "~~"] {
        assert!(!text.contains(mark), "{mark}: {text}");
    }
    let shown = texts(&heard.json()["blocks"]).concat();
    assert!(shown.contains("&lt;b&gt;&amp;\"*_[x](y)&lt;/b&gt; &lt;!channel&gt; &lt;@U1&gt;"), "{shown}");
    assert!(!shown.contains("<!") && !shown.contains("<@"), "{shown}");

    let heard = asked(Kind::Telegram, NAME, NAME).await;
    let text = heard.json()["text"].as_str().expect("text").to_owned();
    let name = "&lt;b&gt;&amp;&quot;*_[x](y)&lt;/b&gt; &lt;!channel&gt; &lt;@U1&gt; @everyone @room `a` ~~b~~ |c| #d";
    assert!(text.starts_with(&format!("<b>{name} Bcc: x@y.z</b>\n{name}\nBcc: x@y.z\n<a href=")), "{text}");

    let heard = asked(Kind::Matrix, NAME, NAME).await;
    let event = heard.json();
    let formatted = event["formatted_body"].as_str().expect("text");
    assert!(
        formatted
            .starts_with(&format!("<strong>{name} Bcc: x@y.z</strong><br>{name}<br>Bcc: x@y.z<br><a href=")),
        "{formatted}"
    );
    assert!(event["m.mentions"].as_object().is_some_and(serde_json::Map::is_empty), "{event}");

    // Shown as they are, where nothing reads them as more than text.
    for kind in [Kind::Ntfy, Kind::Gotify, Kind::Teams] {
        let shown = texts(&asked(kind, NAME, NAME).await.json());
        let title = "<b>&\"*_[x](y)</b> <!channel> <@U1> @everyone @room `a` ~~b~~ |c| #d Bcc: x@y.z";
        assert!(shown.iter().any(|text| text == title), "{kind:?} {shown:?}");
    }
    let card = asked(Kind::Teams, NAME, NAME).await.json();
    assert!(!card.to_string().contains("TextBlock\",\"text") && card["msteams"].is_null(), "{card}");
    let heard = asked(Kind::Gotify, NAME, NAME).await;
    assert_eq!(heard.json()["extras"]["client::display"]["contentType"], "text/plain");
}

#[tokio::test]
async fn a_text_of_100_kb_is_cut_to_the_limits_of_the_service() {
    for long in ["<b>&\"*_[x](y)@everyone😀ä\n".repeat(4_000), "\"".repeat(100 << 10), "😀".repeat(25 << 10)]
    {
        assert!(long.len() >= 100 << 10);
        for kind in http().filter(|kind| *kind != Kind::Webhook) {
            let heard = asked(kind, &long, &long).await;
            let cut = |text: &str| text.contains('…');
            match kind {
                Kind::Pushover => {
                    let fields: Vec<(String, String)> =
                        url::form_urlencoded::parse(heard.body.as_bytes()).into_owned().collect();
                    let field = |name: &str| fields.iter().find(|(n, _)| n == name).expect("there").1.clone();
                    assert!(units(&field("title")) <= 250 && units(&field("message")) <= 1_024);
                    assert!(cut(&field("title")) && cut(&field("message")));
                    continue;
                }
                Kind::Ntfy => {
                    let body = heard.json();
                    assert!(body["message"].as_str().expect("text").len() <= 4_096);
                }
                Kind::Discord => {
                    let body = heard.json();
                    let embed = &body["embeds"][0];
                    let of = |name: &str| units(embed[name].as_str().expect("text"));
                    assert!(of("title") <= 256 && of("description") <= 4_096);
                    assert!(of("title") + of("description") + 40 <= 6_000);
                    assert!(units(body["content"].as_str().expect("a title")) <= 2_000);
                }
                Kind::Slack => {
                    // Rocket.Chat takes 5,000 characters.
                    assert!(units(heard.json()["text"].as_str().expect("text")) <= 5_000);
                    for block in heard.json()["blocks"].as_array().expect("blocks") {
                        let most = if block["type"] == "header" { 150 } else { 3_000 };
                        assert!(units(block["text"]["text"].as_str().unwrap_or_default()) <= most);
                    }
                }
                Kind::Teams => assert!(heard.body.len() <= 28 << 10, "{}", heard.body.len()),
                Kind::Telegram => {
                    let text = heard.json()["text"].as_str().expect("text").to_owned();
                    assert!(units(&text) <= 4_096, "{}", units(&text));
                }
                Kind::Matrix => assert!(heard.body.len() <= 60_000, "{}", heard.body.len()),
                _ => assert!(heard.body.len() <= 30_000, "{kind:?} {}", heard.body.len()),
            }
            let shown = texts(&heard.json());
            assert!(shown.iter().any(|text| cut(text)), "{kind:?}");
            // No escape is cut in two.
            for text in shown {
                let rest =
                    text.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").replace("&quot;", "");
                let escaped = matches!(kind, Kind::Slack | Kind::Telegram);
                assert!(!escaped || !rest.contains('&'), "{kind:?} {rest}");
            }
        }
    }
}
