//! How long the judge thinks about one URL, without a name server: the list of good and bad ones, over and over. Prints one line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    names: BTreeMap<String, Vec<IpAddr>>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    urls: Vec<String>,
}

const ROUNDS: usize = 200;

#[expect(clippy::print_stdout, reason = "the figure is what it is for")]
fn main() {
    let cases: Cases = toml::from_str(include_str!("../data/outbound-cases.toml")).expect("the list");
    let urls: Vec<String> = cases.group.into_iter().flat_map(|group| group.urls).collect();
    let outbound = Outbound::new(Vec::new(), Vec::new(), Resolver::Fixed(cases.names));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut each: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            runtime.block_on(async {
                for url in &urls {
                    let _ = std::hint::black_box(outbound.check(Policy::Lan, url).await);
                }
            });
            began.elapsed().as_nanos() / urls.len() as u128
        })
        .collect();
    each.sort_unstable();
    println!("{} urls, {} ns each", urls.len(), each[ROUNDS / 2]);
}
