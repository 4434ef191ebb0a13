//! What the edge counts: each request by its route's template, its method and the class of its status.
//!
//! A path as it was sent is never a label, so there are as many as routes, whatever anybody asks for.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use cb_app::metrics::{Label, Page};
use cb_core::meter::{Counter, Histogram};
use http::{Method, StatusCode};

use crate::access::{OUTSIDE, TABLE};
use crate::auth::{PAGE, PUBLIC};

/// Stands for a path of the API that no route has.
const NO_ROUTE: &str = "(none)";
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Every template, in the order of the alphabet, with those two that stand for paths without a route.
static ROUTES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let inside = TABLE.iter().map(|(_, path, _)| format!("/api/v1{path}"));
    let outside = OUTSIDE.iter().map(|(_, path, _)| (*path).to_owned());
    let public = PUBLIC.iter().map(|(_, path)| (*path).to_owned());
    let mut routes: Vec<String> = inside.chain(outside).chain(public).collect();
    routes.extend([PAGE.to_owned(), NO_ROUTE.to_owned()]);
    routes.sort();
    routes.dedup();
    routes
});

static PLACES: LazyLock<HashMap<&str, usize>> =
    LazyLock::new(|| ROUTES.iter().enumerate().map(|(place, route)| (route.as_str(), place)).collect());

/// The requests of one server.
pub(crate) struct Requests(Vec<[OnceLock<Box<Route>>; METHODS.len()]>);

/// The requests of one route with one method.
#[derive(Default)]
pub(crate) struct Route {
    classes: [Counter; CLASSES.len()],
    took: Histogram,
}

impl Default for Requests {
    fn default() -> Self {
        Self(ROUTES.iter().map(|_| Default::default()).collect())
    }
}

impl Requests {
    /// Where requests of this method and template are counted.
    pub fn route(&self, method: &Method, template: &str) -> &Route {
        let other = METHODS.len() - 1;
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(other);
        let place = PLACES.get(template).copied().unwrap_or_else(|| PLACES[NO_ROUTE]);
        self.0[place][method].get_or_init(Box::default)
    }

    /// Everything that was asked for at least once.
    fn asked(&self) -> impl Iterator<Item = ([Label; 2], &Route)> {
        self.0.iter().zip(&*ROUTES).flat_map(|(methods, path)| {
            methods.iter().zip(METHODS).filter_map(move |(route, method)| {
                Some(([("route", path.as_str()), ("method", method)], &**route.get()?))
            })
        })
    }

    pub fn tell(&self, page: &mut Page) {
        let mut requests =
            page.counter("cb_http_requests_total", "Requests over HTTPS that were answered, by route.");
        for (labels, route) in self.asked() {
            let [path, method] = labels;
            for (class, count) in CLASSES.into_iter().zip(&route.classes) {
                if count.get() > 0 {
                    requests.value(&[path, method, ("status", class)], count.get());
                }
            }
        }
        let mut took = page.histogram(
            "cb_http_request_duration_seconds",
            "How long requests over HTTPS took until their answer began.",
        );
        for (labels, route) in self.asked() {
            took.value(&labels, &route.took);
        }
    }
}

impl Route {
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, CLASSES.len()) - 1;
        self.classes[class].one();
        self.took.took(took);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cb_app::metrics::Page;
    use http::{Method, StatusCode};

    use super::Requests;

    #[test]
    fn a_path_or_a_method_that_nobody_knows_makes_no_label_of_its_own() {
        let requests = Requests::default();
        for n in 0..1_000 {
            let method = Method::from_bytes(format!("X{n}").as_bytes()).expect("a method");
            let path = format!("/api/v1/nothing/{n}");
            requests.route(&method, &path).answered(StatusCode::NOT_FOUND, Duration::ZERO);
        }
        assert_eq!(requests.asked().count(), 1);
        let mut page = Page::default();
        requests.tell(&mut page);
        let text = page.into_text();
        let line = "cb_http_requests_total{route=\"(none)\",method=\"other\",status=\"4xx\"} 1000";
        assert!(text.contains(line), "{text}");
    }
}
