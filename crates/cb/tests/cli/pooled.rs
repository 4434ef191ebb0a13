//! Three servers over a PgBouncer that has four connections for all of them.

use std::time::{Duration, Instant};

use cb_store::Store;
use cb_store::sea_orm::{self, ConnectionTrait as _, DbBackend, Statement};
use cb_testkit::{Nats, PgBouncer, Postgres, Redis};
use serde_json::json;
use tempfile::TempDir;

use crate::site::{PASSWORD, Server, Site, cb, free_port, serve_on};

const CONNECTIONS: u32 = 4;

async fn started(dir: &TempDir, url: &str, redis: &Redis, nats: &Nats) -> (Vec<Server>, Vec<Site>) {
    let settings = [
        ("CB_DB_URL", url),
        ("CB_REDIS_URL", redis.url()),
        ("CB_NATS_URL", nats.url()),
        ("CB_JWT_SECRET", "three servers share this secret of theirs"),
    ];
    let (mut servers, mut sites) = (Vec::new(), Vec::new());
    for n in 0..3 {
        let data = dir.path().join(format!("server{n}"));
        if n > 0 {
            std::fs::create_dir(&data).expect("made");
            for key in ["audit-key", "vault-key"] {
                std::fs::copy(dir.path().join("server0").join(key), data.join(key)).expect("copied");
            }
        }
        let port = free_port();
        servers.push(Server::start(serve_on(&mut cb(), &data, port, &settings)));
        sites.push(Site::meet(&data, port).await);
        if n == 0 {
            sites[0].set_up().await;
        }
    }
    (servers, sites)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_share_four_connections() {
    let postgres = Postgres::start();
    let mut bouncer = PgBouncer::start(&postgres, CONNECTIONS);
    let (redis, nats) = (Redis::start(), Nats::start());
    let dir = TempDir::with_prefix("cb-pooled-").expect("a folder");
    let url = bouncer.url().to_owned();
    let (servers, sites) = started(&dir, &url, &redis, &nats).await;
    let watch = sea_orm::Database::connect(postgres.url()).await.expect("connects");
    let connections = async || -> i64 {
        let sql =
            "SELECT count(DISTINCT pid) FROM pg_stat_activity WHERE application_name = 'circuit-breaker'";
        let row = watch.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        row.expect("reads").expect("a row").try_get_by_index(0).expect("a number")
    };

    let work = sites.iter().enumerate().map(|(n, site)| {
        let site = site.clone();
        tokio::spawn(async move {
            sign_in(&site).await;
            let adds: Vec<_> = (0..4)
                .map(|lane| {
                    let site = site.clone();
                    tokio::spawn(async move {
                        for at in 0..10 {
                            let name = format!("asset {n}.{lane}.{at}");
                            // Refused when no connection is free, and tried again.
                            while !site.asset(&name).await {
                                tokio::time::sleep(Duration::from_millis(200)).await;
                            }
                        }
                    })
                })
                .collect();
            for add in adds {
                add.await.expect("added");
            }
        })
    });
    let work: Vec<_> = work.collect();
    let mut most = 0;
    while !work.iter().all(tokio::task::JoinHandle::is_finished) {
        most = most.max(connections().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for one in work {
        one.await.expect("worked");
    }
    assert!((1..=i64::from(CONNECTIONS)).contains(&most), "{most} connections to PostgreSQL");
    for site in &sites {
        assert!(site.assets().await.len() >= 120);
    }
    scanned(&sites).await;

    // Somebody else uses every connection.
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let other = Store::read_postgres(&cb_core::Secret::new(url.clone())).await.expect("opens");
        held.push(other.snapshot().await.expect("begins"));
    }
    let began = Instant::now();
    let answer = sites[0].ask("POST", "/assets", Some(json!({ "name": "late", "kind": "device" }))).await;
    let answer = answer.expect("an answer");
    assert_eq!(answer.status(), 503, "{}", String::from_utf8_lossy(answer.body()));
    assert!(answer.headers().contains_key("retry-after") && began.elapsed() < Duration::from_secs(8));
    drop(held);
    serves_again(&sites).await;
    bouncer.kill();
    bouncer.start_again();
    serves_again(&sites).await;
    for server in servers {
        server.stop();
    }
    let mut verify = cb();
    verify
        .args(["audit-log", "verify"])
        .env_clear()
        .env("CB_DATA_DIR", dir.path().join("server0"))
        .env("CB_DB_URL", &url);
    let said = verify.output().expect("runs");
    let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.starts_with("The chain is intact"), "{said}");
}

/// Refused when no connection is free, and tried again.
async fn sign_in(site: &Site) {
    let who = json!({ "username": "maria", "password": PASSWORD });
    loop {
        let answer = site.ask("POST", "/auth/login", Some(who.clone())).await.expect("answers");
        if answer.status() == 200 {
            return;
        }
        assert_eq!(answer.status(), 503, "{}", String::from_utf8_lossy(answer.body()));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Another server tells how the scan of one ends.
async fn scanned(sites: &[Site]) {
    let scan = sites[1].done("/scans", json!({ "targets": ["172.31.255.77"], "probes": ["icmp"] })).await;
    let path = format!("/scans/{}", scan["id"].as_str().expect("an id"));
    let began = Instant::now();
    loop {
        let state = sites[2].get(&path).await["status"].as_str().unwrap_or_default().to_owned();
        if !["queued", "running"].contains(&state.as_str()) {
            assert_eq!(state, "completed");
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "the scan is {state}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Within ten seconds of the end of the cause.
async fn serves_again(sites: &[Site]) {
    let began = Instant::now();
    for (n, site) in sites.iter().enumerate() {
        while !site.asset(&format!("back {n}")).await {
            assert!(began.elapsed() < Duration::from_secs(10), "server {n} does not serve again");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
