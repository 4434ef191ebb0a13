//! A release without the browser client would be a server without pages: refused here, not found out
//! by the first user. A development build without it says so on its page.

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script its profile this way only")]
fn main() {
    println!("cargo::rerun-if-changed=../../web/dist");
    let release = std::env::var("PROFILE").is_ok_and(|p| p == "release");
    if release && !std::path::Path::new("../../web/dist/index.html").exists() {
        println!(
            "cargo::error=web/dist/index.html is missing: build the browser client first, with: make web"
        );
    }
}
