//! The recipes of the guide for those who report to a hook: each sender, as far as it can be run here, comes to trust our authority
//! in the way that its recipe says, and without it sends nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cb_net::http::Limits;
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use serde_json::{Value, json};

use crate::site::{Server, Site, cb, free_port, serve_on};

const GUIDE: &str = include_str!("../../../../docs/user-guide.md");

struct Home {
    site: Site,
    /// Our authority, as somebody has downloaded it.
    ca: PathBuf,
    dir: tempfile::TempDir,
    _server: Server,
}

/// A hook of this server.
struct Hook {
    url: String,
    token: String,
    id: String,
}

impl Home {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (data, port) = (dir.path().join("data"), free_port());
        let mut command = cb();
        serve_on(&mut command, &data, port, &[]);
        let server = Server::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let site = Site::meet(&data, port).await;
        site.set_up().await;
        let ca = dir.path().join("circuit-breaker-ca.crt");
        fs::copy(data.join("tls/ca.pem"), &ca).expect("copied");
        Self { site, ca, dir, _server: server }
    }

    async fn hook(&self, format: &str) -> Hook {
        let made = self.site.done("/hooks", json!({ "name": format, "format": format })).await;
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        let url = format!("https://127.0.0.1:{}{}", self.site.port, text("path"));
        Hook { url, token: text("secret"), id: text("id") }
    }

    async fn titles(&self, hook: &Hook) -> Vec<String> {
        let events = self.site.get(&format!("/hooks/{}/events", hook.id)).await;
        let items = events["items"].as_array().expect("a list");
        items.iter().map(|event| event["title"].as_str().expect("a title").to_owned()).collect()
    }

    /// Waits until it was told.
    async fn told(&self, hook: &Hook, title: &str) {
        for _ in 0..200 {
            if self.titles(hook).await.iter().any(|told| told == title) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{title} was never told");
    }
}

/// The first block of this language behind `heading` in the guide.
fn recipe(heading: &str, language: &str) -> String {
    let behind = GUIDE.split_once(heading).unwrap_or_else(|| panic!("{heading}")).1;
    let block = behind.split_once(&format!("```{language}\n")).expect("a block").1;
    block.split("```").next().unwrap_or_default().to_owned()
}

fn alertmanager(dir: &Path, config: &str, port: u16, trust: Option<&Path>) -> Server {
    let file = dir.join(format!("alertmanager-{port}.yml"));
    fs::write(&file, config).expect("written");
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", dir.join(format!("alertmanager-{port}")).display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.join(format!("alertmanager-{port}.log"))).expect("a file"));
    if let Some(trust) = trust {
        command.env("SSL_CERT_DIR", trust);
    }
    Server::start(&mut command)
}

/// Something fires.
async fn fire(port: u16, name: &str) {
    let client = Outbound::new(vec!["127.0.0.1".parse().expect("an address")], Vec::new(), Resolver::System);
    let alerts = json!([{ "labels": { "alertname": name, "severity": "critical" } }]).to_string();
    for _ in 0..200 {
        let request = http::Request::post(format!("http://127.0.0.1:{port}/api/v2/alerts"))
            .header("content-type", "application/json")
            .body(alerts.clone().into_bytes())
            .expect("a request");
        if client.send(Policy::Lan, request, Limits::default()).await.is_ok_and(|a| a.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("Alertmanager does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_and_what_is_written_in_go_as_grafana_is() {
    let home = Home::new().await;
    let hook = home.hook("alertmanager").await;
    let dir = home.dir.path();
    let whole = recipe("**Alertmanager (format `alertmanager`)**", "yaml")
        .replace("https://breaker.lan:8443/api/v1/hooks/…", &hook.url)
        .replace("cb_hook_…", &hook.token)
        .replace("/etc/alertmanager/circuit-breaker-ca.crt", &home.ca.display().to_string());
    assert!(whole.contains(&hook.url) && whole.contains(&hook.token), "{whole}");
    let config = format!("route: {{ receiver: circuit-breaker, group_wait: 0s }}\n{whole}");
    let without: Vec<&str> = config.lines().filter(|line| !line.contains("ca_file")).collect();
    assert_eq!(without.len() + 1, config.lines().count());
    let without = without.join("\n");

    let port = free_port();
    let server = alertmanager(dir, &config, port, None);
    fire(port, "ByRecipe").await;
    home.told(&hook, "ByRecipe").await;
    drop(server);

    // Without the certificate nothing is sent; from a folder that Go reads it is trusted.
    let port = free_port();
    let server = alertmanager(dir, &without, port, None);
    fire(port, "Untrusted").await;
    let log = dir.join(format!("alertmanager-{port}.log"));
    for n in 0.. {
        let said = fs::read_to_string(&log).expect("a log");
        if said.contains("certificate signed by unknown authority") {
            break;
        }
        assert!(n < 200, "{said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(server);
    let trust = dir.join("trust");
    fs::create_dir(&trust).expect("a folder");
    fs::copy(&home.ca, trust.join("circuit-breaker-ca.crt")).expect("copied");
    let port = free_port();
    let server = alertmanager(dir, &without, port, Some(&trust));
    fire(port, "ByFolder").await;
    home.told(&hook, "ByFolder").await;
    drop(server);
    assert_eq!(home.titles(&hook).await.len(), 2);
}

/// What Uptime Kuma does with its settings, in the program that it runs in.
const KUMA: &str = "
const [url, headers] = process.argv.slice(1);
const body = JSON.stringify({ heartbeat: null, monitor: null, msg: 'Breaker Testing' });
const options = { method: 'POST', headers: { 'Content-Type': 'application/json', ...JSON.parse(headers) } };
const request = require('https').request(url, options, (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 2;
});
request.on('error', (error) => { console.error(error.code); process.exitCode = 1; });
request.end(body);
";

#[tokio::test(flavor = "multi_thread")]
async fn uptime_kuma_by_the_variable_of_node() {
    let home = Home::new().await;
    let hook = home.hook("uptime_kuma").await;
    let behind = GUIDE.split_once("**Uptime Kuma (format `uptime_kuma`)**").expect("its recipe").1;
    let trust = recipe("**Uptime Kuma (format `uptime_kuma`)**", "yaml");
    assert!(trust.contains("NODE_EXTRA_CA_CERTS: /certs/circuit-breaker-ca.crt"), "{trust}");
    let headers = behind.split('`').find(|code| code.contains("Authorization")).expect("its headers");
    let headers = headers.replace("cb_hook_…", &hook.token);
    let send = |trust: bool| -> Output {
        let mut command = Command::new("node");
        command.args(["-e", KUMA, &hook.url, &headers]).env_remove("NODE_EXTRA_CA_CERTS");
        if trust {
            command.env("NODE_EXTRA_CA_CERTS", &home.ca);
        }
        command.output().expect("node runs")
    };
    let refused = send(false);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let code = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(code.contains("CERT") || code.contains("VERIFY"), "{code}");
    assert!(home.titles(&hook).await.is_empty());
    let taken = send(true);
    assert!(taken.status.success(), "{taken:?}");
    home.told(&hook, "Breaker Testing").await;
}

/// Proxmox asks OpenSSL, which asks the store that `update-ca-certificates` makes.
#[tokio::test(flavor = "multi_thread")]
async fn proxmox_by_the_store_of_the_system() {
    let home = Home::new().await;
    let hook = home.hook("proxmox").await;
    let (local, store) = (home.dir.path().join("local"), home.dir.path().join("store"));
    for folder in [&local, &store] {
        fs::create_dir(folder).expect("a folder");
    }
    let update = || {
        let none = home.dir.path().join("none");
        fs::write(&none, "").expect("written");
        let made = Command::new("/usr/sbin/update-ca-certificates")
            .arg("--certsconf")
            .arg(&none)
            .arg("--localcertsdir")
            .arg(&local)
            .arg("--etccertsdir")
            .arg(&store)
            .arg("--hooksdir")
            .arg(&local)
            .output()
            .expect("update-ca-certificates runs: scripts/ensure installs it");
        assert!(made.status.success(), "{made:?}");
    };
    let trust = recipe("**Proxmox VE and Proxmox Backup Server (format `proxmox`)**", "sh");
    assert!(trust.contains("/usr/local/share/ca-certificates/\nupdate-ca-certificates\n"), "{trust}");
    let body = recipe("**Proxmox VE and Proxmox Backup Server (format `proxmox`)**", "json")
        .replace("{{ escape title }}", "vzdump backup status (pve1)")
        .replace("{{ escape message }}", "All is well\\nTotal: 200 guests")
        .replace("{{ severity }}", "info")
        .replace("{{ timestamp }}", "1770000000")
        .replace("{{ json fields }}", r#"{"type":"vzdump","hostname":"pve1"}"#);
    serde_json::from_str::<Value>(&body).expect("the template makes JSON");
    let at = format!("127.0.0.1:{}", home.site.port);
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nAuthorization: Bearer {}\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n",
        hook.url.split_once(&at).expect("its address").1,
        hook.token,
        body.len(),
    );
    let send = || {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", "-verify_ip", "127.0.0.1", "-connect", &at])
            .args(["-no-CAfile", "-no-CAstore", "-CApath"])
            .arg(&store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        let mut input = client.stdin.take().expect("piped");
        // A client that trusts nobody has left before.
        let _ = input.write_all(head.as_bytes()).and_then(|()| input.write_all(body.as_bytes()));
        let said = client.wait_with_output().expect("ended");
        drop(input);
        said
    };
    update();
    let refused = send();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("verify error"), "{refused:?}");
    assert!(home.titles(&hook).await.is_empty());
    fs::copy(&home.ca, local.join("circuit-breaker-ca.crt")).expect("copied");
    update();
    let taken = send();
    assert!(String::from_utf8_lossy(&taken.stdout).starts_with("HTTP/1.1 200"), "{taken:?}");
    home.told(&hook, "vzdump backup status (pve1)").await;
}
