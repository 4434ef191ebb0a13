//! Plain HTTP: a redirect, and one exemption to the letter.

use crate::site::{Ask, Site};
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;

#[rstest]
#[tokio::test]
async fn everything_is_redirected_but_exactly_the_health_check(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let site = Site::new(database).await;
    let base = site.origin();
    let ask =
        |method: &'static str, path: &str| site.ask_plain(Ask::new(method, path).header("Host", "localhost"));
    for method in ["GET", "HEAD"] {
        let answer = ask(method, "/api/v1/health").await;
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(answer.body.is_empty(), method == "HEAD");
    }
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/api/v1/auth/login"),
        ("POST", "/api/v1/health"),
        ("DELETE", "/api/v1/health"),
        ("GET", "/api/v1/%68ealth"),
        ("GET", "/api/v1/health/"),
        ("GET", "/api/v1/x/../health"),
        ("GET", "/api/v1/admin/..%2fhealth"),
        ("GET", "/ca.crt"),
        ("GET", "/a?b=c&d=%2f"),
    ] {
        let answer = ask(method, path).await;
        assert_eq!(answer.status, 301, "{method} {path}");
        assert_eq!(answer.one("location"), format!("{base}{path}"), "{method} {path}");
        assert!(answer.body.is_empty());
    }
    let double = ask("GET", "//api/v1//health").await;
    assert_eq!(double.status, 301);
}

#[rstest]
#[tokio::test]
async fn the_redirect_never_goes_to_a_host_that_the_caller_made_up(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let site = Site::new(database).await;
    for host in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "user@evil.example",
        "",
        "203.0.113.7",
        "[2001:db8::7]",
    ] {
        let answer = site.ask_plain(Ask::new("GET", "//evil.example/x").header("Host", host)).await;
        if answer.status == 301 {
            let location = answer.one("location");
            let authority =
                location.strip_prefix("https://").and_then(|l| l.split('/').next()).expect("https");
            assert!(authority.ends_with(&format!(":{}", site.https.port())), "{host}: {location}");
            assert!(
                !authority.contains("evil")
                    && !authority.contains("203.0.113")
                    && !authority.contains("2001:db8"),
                "{host}: {location}"
            );
        } else {
            assert_eq!(answer.status, 400, "{host}: {answer:?}");
        }
    }
    let absolute = site
        .ask_plain(Ask::new("GET", "http://evil.example/api/v1/health").header("Host", "localhost"))
        .await;
    assert_eq!(absolute.status, 301);
    assert!(!absolute.one("location").contains("evil"));
}
