//! The map: what is given comes back as it was given.

use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use serde_json::{Value, json};

use crate::site::{Ask, Site};

/// A client compares the place that it reads with the place that it has sent. serde_json reads these numbers wrong by one
/// digit unless it is asked to be exact.
#[rstest]
#[tokio::test]
async fn a_place_comes_back_exactly(#[values(Sqlite, Postgres)] database: Database) {
    let (site, admin) = Site::ready(database).await;
    let made = site.post(&admin, "/api/v1/assets", json!({ "name": "a", "kind": "device" })).await.json();
    for (x, y) in [
        ("122.416294033786585", "51.24817837550540"),
        ("-1234.5678901234567", "0.30000000000000004"),
        ("0.1", "179769.31348623157"),
    ] {
        let body = format!(r#"{{"positions":[{{"asset_id":{},"x":{x},"y":{y}}}]}}"#, made["id"]);
        let ask = Ask::new("PUT", "/api/v1/map/positions")
            .by(&admin)
            .header("X-CSRF-Token", &admin.csrf)
            .json(body);
        let put = site.ask(ask).await;
        assert!(put.status < 300, "{}", put.text());
        // As text, so that this test does not read numbers as the server does.
        let map = site.get(&admin, "/api/v1/map").await;
        let text = map.text();
        let field = |name: &str| {
            let at = text.find(&format!("\"{name}\":")).expect("a place") + name.len() + 3;
            let number: String = text[at..].chars().take_while(|c| !matches!(c, ',' | '}')).collect();
            number.parse::<f64>().expect("a number").to_bits()
        };
        let exact = |text: &str| text.parse::<f64>().expect("a number").to_bits();
        assert_eq!((field("x"), field("y")), (exact(x), exact(y)), "{x}, {y}: {text}");
        assert!(serde_json::from_str::<Value>(&text).is_ok());
    }
}
