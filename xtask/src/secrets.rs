//! Secrets are compared in constant time and never shown, by construction: [`Secret`](cb_core) has no `==` and hides itself.
//! This rule finds where somebody goes around it: `==` on something whose name says secret, and a type with a secret in it
//! that can be printed, compared or serialised.

use std::collections::BTreeSet;

use anyhow::Context as _;
use quote::ToTokens as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, BinOp, Expr, Fields, Item, Token};

use crate::repo::Repo;

/// Comparisons that are none of secrets, whatever the name: file, name, reason. One that is no longer there is told.
const PUBLIC: &[(&str, &str, &str)] = &[
    ("crates/cb-api/src/spa.rs", "token", "a word of Accept-Encoding"),
    (
        "crates/cb-collect/src/engine/icmp.rs",
        "token",
        "tells our echo from another's, and goes over the network in clear",
    ),
];

/// Types with a secret in them, and what they may do all the same: `file::Name`, traits, reason.
const TYPES: &[(&str, &[&str], &str)] = &[
    ("secret::Secret", &["Debug"], "its Debug shows nothing"),
    ("sessions::Opened", &[], ""),
    ("sessions::Admission", &["Debug"], "says which of the two it is, and nothing of it"),
    ("sessions::SessionOut", &["Serialize"], "the answer to whoever has signed in"),
    ("sessions::SecondFactorRequired", &["Serialize"], "the answer to whoever has shown a password"),
    ("sessions::Me", &["Serialize"], "the answer to the session itself"),
    ("factors::TotpEnrolment", &["Serialize"], "shown once to its owner"),
    ("factors::RecoveryCodes", &["Serialize"], "shown once to their owner"),
    ("factors::TotpEnabled", &["Serialize"], "shown once to its owner"),
    ("passkeys::PasskeyRegistrationOut", &["Serialize"], "the answer to the user who adds a passkey"),
    ("passkeys::PasskeyAdded", &["Serialize"], "shown once to its owner"),
    ("passkeys::PasskeyChallenge", &["Serialize"], "the answer to whoever shows a passkey; sealed"),
    ("sign_in::Away", &[], ""),
    ("sign_in::Going", &["Serialize"], "is sealed into the cookie"),
    ("protocol::Departure", &[], ""),
    ("tokens::NewToken", &["Serialize"], "shown once to its owner"),
    ("hooks::HookOut", &["Serialize"], "shown once to the administrator who made it"),
    ("users::LinkOut", &["Serialize"], "shown once to the administrator who asked for it"),
    ("webhooks::WebhookOut", &["Serialize"], "shown once to the administrator who made it"),
    ("app::Authenticated", &["Debug"], "what is secret in it is a Secret"),
    ("checkpoint::CheckpointKey", &["Debug"], "shows the id of its public half"),
    ("token::Claims", &["Serialize"], "is signed into the cookie"),
    ("token::Signer", &[], ""),
    ("fernet::Key", &["Debug"], "shows its name only"),
];

/// Fields that are texts, are called like secrets and are none: `file::Name`, field, reason.
const OPEN_FIELDS: &[(&str, &str, &str)] =
    &[("audit::Checkpoint", "signature", "it is there to be shown and verified by anybody")];

/// Rows hold hashes and sealed texts only, and the database layer wants them printable.
const ROWS: &str = "crates/cb-store/src/entities/";

const WATCHED: [&str; 4] = ["Debug", "Display", "PartialEq", "Serialize"];

pub fn breaches(repo: &Repo) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for path in repo.rust_files("crates")?.into_iter().chain(repo.rust_files("xtask")?) {
        // Tests compare what they like.
        if !path.contains("/tests/") && !path.starts_with("crates/cb-testkit/") {
            let parsed =
                syn::parse_file(&repo.text(&path)?).with_context(|| format!("{path} is not Rust"))?;
            files.push((path, parsed));
        }
    }
    Ok(judge(&files))
}

fn judge(files: &[(String, syn::File)]) -> Vec<String> {
    let test_files: BTreeSet<String> =
        files.iter().flat_map(|(path, file)| test_modules(path, file)).collect();
    let (mut breaches, mut seen) = (Vec::new(), Seen::default());
    for (path, file) in files.iter().filter(|(path, _)| !test_files.contains(path)) {
        let mut walk = Walk { path, breaches: &mut breaches, seen: &mut seen };
        walk.visit_file(file);
    }
    if files.iter().any(|(path, _)| path == "crates/cb-core/src/secret.rs") {
        breaches.extend(seen.stale());
    }
    breaches
}

/// What of the lists was met.
#[derive(Default)]
struct Seen(BTreeSet<String>);

impl Seen {
    fn stale(&self) -> Vec<String> {
        let compared = PUBLIC.iter().map(|(file, name, _)| format!("{file} {name}"));
        let types = TYPES.iter().map(|(name, ..)| (*name).to_owned());
        let fields = OPEN_FIELDS.iter().map(|(of, field, _)| format!("{of} {field}"));
        compared
            .chain(types)
            .chain(fields)
            .filter(|known| !self.0.contains(known))
            .map(|known| {
                format!("`{known}` is not met any more; take it off its list in xtask/src/secrets.rs")
            })
            .collect()
    }
}

/// Modules in files of their own that are compiled for tests only.
fn test_modules(path: &str, file: &syn::File) -> Vec<String> {
    let folder = match path.rsplit_once('/') {
        Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    };
    let only = file.items.iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => Some(&module.ident),
        _ => None,
    });
    only.flat_map(|name| [format!("{folder}/{name}.rs"), format!("{folder}/{name}/mod.rs")]).collect()
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        let text = a.meta.to_token_stream().to_string().replace(' ', "");
        text == "test" || text.ends_with("::test") || text == "cfg(test)" || text.starts_with("rstest")
    })
}

/// Whether a name says that it is a secret: `api_token`, `csrf`, `password_hash`; not `token_id`, nor a variant or type.
fn says_secret(name: &str) -> bool {
    const SECRET: [&str; 12] = [
        "cookie",
        "csrf",
        "jwt",
        "otp",
        "passphrase",
        "passwd",
        "password",
        "pat",
        "secret",
        "sid",
        "signature",
        "token",
    ];
    const TOGETHER: [&str; 9] = [
        "api_key",
        "code_hash",
        "csrf_key",
        "private_key",
        "recovery_code",
        "setup_code",
        "signing_key",
        "totp_code",
        "vault_key",
    ];
    // What is told about a secret is none.
    const ABOUT: [&str; 15] = [
        "at", "count", "days", "field", "file", "header", "hint", "id", "ip", "kind", "left", "len", "most",
        "name", "type",
    ];
    let is_value = name.chars().all(|c| !c.is_lowercase()) || name.chars().all(|c| !c.is_uppercase());
    let name = name.trim_start_matches("r#").to_lowercase();
    let words: Vec<&str> = name.split('_').collect();
    is_value
        && !words.last().is_some_and(|last| ABOUT.contains(last))
        && (words.iter().any(|word| SECRET.contains(word)) || TOGETHER.iter().any(|t| name.contains(t)))
}

/// The name that an expression goes by, through what does not change what it is.
fn goes_by(expr: &Expr) -> Option<String> {
    const THROUGH: [&str; 22] = [
        "as_bytes",
        "as_deref",
        "as_ref",
        "as_slice",
        "as_str",
        "borrow",
        "bytes",
        "chars",
        "clone",
        "cloned",
        "copied",
        "get",
        "into_bytes",
        "iter",
        "to_lowercase",
        "to_owned",
        "to_string",
        "to_vec",
        "trim",
        "unwrap_or_default",
        "to_ascii_lowercase",
        "trim_end",
    ];
    match expr {
        Expr::Path(path) => path.path.segments.last().map(|s| s.ident.to_string()),
        Expr::Field(field) => match &field.member {
            syn::Member::Named(name) => Some(name.to_string()),
            syn::Member::Unnamed(_) => goes_by(&field.base),
        },
        Expr::MethodCall(call) if call.method == "expose" => Some("secret".to_owned()),
        Expr::MethodCall(call) if THROUGH.contains(&call.method.to_string().as_str()) => {
            goes_by(&call.receiver)
        }
        Expr::MethodCall(call) => Some(call.method.to_string()),
        Expr::Call(call) => {
            // `Some(&token)` is the token still; `hash(token)` goes by what it makes.
            let of = goes_by(&call.func)?;
            if of == "Some" || of == "Ok" { call.args.first().and_then(goes_by) } else { Some(of) }
        }
        Expr::Reference(inner) => goes_by(&inner.expr),
        Expr::Unary(inner) => goes_by(&inner.expr),
        Expr::Paren(inner) => goes_by(&inner.expr),
        Expr::Group(inner) => goes_by(&inner.expr),
        Expr::Index(inner) => goes_by(&inner.expr),
        Expr::Cast(inner) => goes_by(&inner.expr),
        Expr::Try(inner) => goes_by(&inner.expr),
        Expr::Await(inner) => goes_by(&inner.base),
        _ => None,
    }
}

struct Walk<'a> {
    path: &'a str,
    breaches: &'a mut Vec<String>,
    seen: &'a mut Seen,
}

impl Walk<'_> {
    fn compared(&mut self, how: &str, sides: [&Expr; 2]) {
        let Some(name) = sides.into_iter().filter_map(goes_by).find(|name| says_secret(name)) else { return };
        if PUBLIC.iter().any(|(file, public, _)| *file == self.path && *public == name) {
            self.seen.0.insert(format!("{} {name}", self.path));
            return;
        }
        self.breaches.push(format!(
            "{}:{} compares `{name}` with {how}, which tells by its time how much was right: make it a cb_core::Secret and use \
             matches(), or list it in xtask/src/secrets.rs with the reason why it is none",
            self.path,
            sides[0].span().start().line
        ));
    }

    /// `sessions::Opened` in crates/cb-app/src/auth/sessions.rs.
    fn full(&self, name: &syn::Ident) -> String {
        let mut parts = self.path.trim_end_matches(".rs").rsplit('/');
        let stem = match parts.next() {
            Some("mod" | "lib" | "main") => parts.next(),
            stem => stem,
        };
        format!("{}::{name}", stem.unwrap_or_default())
    }

    fn judge_trait(&mut self, name: &syn::Ident, what: &str, because: &str) {
        let full = self.full(name);
        let known = TYPES.iter().find(|(known, ..)| *known == full);
        if known.is_some_and(|(_, may, _)| may.contains(&what)) {
            return;
        }
        self.breaches.push(format!(
            "{}:{} {name} is {what} and {because}: take the trait away, or list the type in xtask/src/secrets.rs with the reason \
             why it shows nothing",
            self.path,
            name.span().start().line
        ));
    }

    fn judge_type(&mut self, name: &syn::Ident, attributes: &[Attribute], fields: &[&Fields]) {
        let full = self.full(name);
        let listed = TYPES.iter().any(|(known, ..)| *known == full);
        if listed {
            self.seen.0.insert(full.clone());
        }
        let mut holds = false;
        let mut open: Option<String> = None;
        for field in fields.iter().flat_map(|f| f.iter()) {
            let of = idents(field.ty.to_token_stream());
            holds |= of.iter().any(|i| i == "Secret");
            let is_text = of.iter().any(|i| ["String", "str", "u8", "Bytes"].contains(&i.as_str()));
            let called = field.ident.as_ref().map(ToString::to_string).filter(|n| is_text && says_secret(n));
            let Some(called) = called else { continue };
            if OPEN_FIELDS.iter().any(|(of, known, _)| *of == full && *known == called) {
                self.seen.0.insert(format!("{full} {called}"));
            } else if !self.path.starts_with(ROWS) {
                open.get_or_insert(called);
            }
        }
        for what in derived(attributes).into_iter().filter(|t| WATCHED.contains(&t.as_str())) {
            if listed {
                self.judge_trait(name, &what, "it carries a secret");
            } else if let Some(field) = &open {
                // An answer must be written out, and then it belongs on the list.
                self.judge_trait(name, &what, &format!("its field {field} is a text, not a Secret"));
            } else if holds && what != "Debug" {
                // A Secret hides itself in a derived Debug.
                self.judge_trait(name, &what, "it holds a Secret");
            }
        }
    }
}

fn derived(attributes: &[Attribute]) -> Vec<String> {
    let lists = attributes.iter().filter(|a| a.path().is_ident("derive"));
    let paths =
        lists.filter_map(|a| a.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated).ok());
    paths.flatten().filter_map(|p| p.segments.last().map(|s| s.ident.to_string())).collect()
}

fn idents(tokens: proc_macro2::TokenStream) -> Vec<String> {
    let mut all = Vec::new();
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Ident(ident) => all.push(ident.to_string()),
            proc_macro2::TokenTree::Group(group) => all.extend(idents(group.stream())),
            _ => {}
        }
    }
    all
}

/// The two sides of each `==` and `!=` in what is no list of expressions: `matches!(x, Some(y) if y == token)`. A side reaches to the
/// next token that cannot be part of a name or a call.
fn comparisons(tokens: proc_macro2::TokenStream) -> Vec<(Expr, Expr)> {
    use proc_macro2::{TokenStream, TokenTree};
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut found = Vec::new();
    let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
    let part = |at: usize| match &tokens[at] {
        TokenTree::Punct(p) => matches!(p.as_char(), '.' | '&' | '*' | ':' | '?'),
        TokenTree::Ident(ident) => ident != "if",
        TokenTree::Group(_) | TokenTree::Literal(_) => true,
    };
    for at in 0..tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            found.extend(comparisons(group.stream()));
        }
        if (is(at, '=') || is(at, '!')) && is(at + 1, '=') {
            let begin = (0..at).rev().take_while(|i| part(*i)).last().unwrap_or(at);
            let end = (at + 2..tokens.len()).take_while(|i| part(*i)).last().map_or(at + 2, |last| last + 1);
            let side = |from: usize, to: usize| {
                syn::parse2::<Expr>(tokens[from..to].iter().cloned().collect::<TokenStream>()).ok()
            };
            found.extend(side(begin, at).zip(side(at + 2, end)));
        }
    }
    found
}

impl<'ast> Visit<'ast> for Walk<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[Attribute] = match item {
            Item::Fn(i) => &i.attrs,
            Item::Mod(i) => &i.attrs,
            Item::Impl(i) => &i.attrs,
            Item::Struct(i) => &i.attrs,
            Item::Enum(i) => &i.attrs,
            Item::Const(i) => &i.attrs,
            Item::Static(i) => &i.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        match binary.op {
            BinOp::Eq(_) => self.compared("==", [&binary.left, &binary.right]),
            BinOp::Ne(_) => self.compared("!=", [&binary.left, &binary.right]),
            _ => {}
        }
        visit::visit_expr_binary(self, binary);
    }

    /// The same in other words; of the receiver only, for a column of the database has an `eq` too.
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if ["eq", "ne", "eq_ignore_ascii_case"].iter().any(|name| call.method == name) {
            self.compared(&call.method.to_string(), [&call.receiver, &call.receiver]);
        }
        visit::visit_expr_method_call(self, call);
    }

    /// What stands within a macro is tokens to the parser. Those that take expressions are read as such.
    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        let name = called.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        let parsed = called.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        let Ok(given) = parsed else {
            for (left, right) in comparisons(called.tokens.clone()) {
                self.compared("==", [&left, &right]);
            }
            return;
        };
        let how = format!("{name}!");
        if matches!(name.as_str(), "assert_eq" | "assert_ne" | "debug_assert_eq" | "debug_assert_ne")
            && let (Some(left), Some(right)) = (given.first(), given.get(1))
        {
            self.compared(&how, [left, right]);
        }
        for expr in &given {
            // Their spans are those of the file, so a line can be told.
            Walk { path: self.path, breaches: self.breaches, seen: self.seen }.visit_expr(expr);
        }
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.judge_type(&item.ident, &item.attrs, &[&item.fields]);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let fields: Vec<&Fields> = item.variants.iter().map(|v| &v.fields).collect();
        self.judge_type(&item.ident, &item.attrs, &fields);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = item.trait_.as_ref().and_then(|(_, path, _)| trait_of(path));
        if let (Some(of), syn::Type::Path(this)) = (of, &*item.self_ty)
            && let Some(name) = this.path.segments.last()
            && TYPES.iter().any(|(known, ..)| *known == self.full(&name.ident))
        {
            self.judge_trait(&name.ident, &of, "it carries a secret");
        }
        visit::visit_item_impl(self, item);
    }
}

fn trait_of(path: &syn::Path) -> Option<String> {
    let name = path.segments.last()?.ident.to_string();
    WATCHED.contains(&name.as_str()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{judge, says_secret};

    fn told(path: &str, text: &str) -> Vec<String> {
        judge(&[(path.to_owned(), syn::parse_file(text).expect("Rust"))])
    }

    #[test]
    fn a_name_says_secret_or_something_about_one() {
        for name in [
            "token",
            "api_token",
            "csrf",
            "password_hash",
            "API_TOKEN",
            "totp_secret",
            "code_hash",
            "sid",
            "vault_key",
        ] {
            assert!(says_secret(name), "{name}");
        }
        for name in [
            "token_id",
            "tokens",
            "Token",
            "SecretKind",
            "password_changed_at",
            "mac",
            "key",
            "code",
            "csrf_header",
            "inside",
        ] {
            assert!(!says_secret(name), "{name}");
        }
    }

    #[test]
    fn a_secret_compared_with_an_operator_is_told_with_its_line() {
        for (within, name) in [
            ("given == self.token", "token"),
            ("self.token.as_bytes() != given", "token"),
            ("Some(&*csrf) == given.get(0)", "csrf"),
            ("secret.expose() == given", "secret"),
            ("row.code_hash == hash(given)", "code_hash"),
            ("(&user.password)[..] == *given", "password"),
            ("token_hash(given) == x", "token_hash"),
            ("given.iter().any(|one| *one == API_TOKEN)", "API_TOKEN"),
            ("token.as_bytes().eq_ignore_ascii_case(given)", "token"),
            ("password.eq(given)", "password"),
            ("matches!(given, Some(x) if x == signature)", "signature"),
            ("matches!(given, Some(x) if self.token.as_bytes() != x && true)", "token"),
        ] {
            let found = told("crates/x/src/a.rs", &format!("fn f() -> bool {{\n    {within}\n}}"));
            assert_eq!(found.len(), 1, "{within}: {found:?}");
            assert!(
                found[0].starts_with(&format!("crates/x/src/a.rs:2 compares `{name}` with ")),
                "{found:?}"
            );
        }
        let found = told(
            "crates/x/src/a.rs",
            "fn f() {\n\n    assert_eq!(token, given);\n    assert!(given == password);\n}",
        );
        assert!(found[0].starts_with("crates/x/src/a.rs:3") && found[0].contains("assert_eq!"), "{found:?}");
        assert!(found[1].starts_with("crates/x/src/a.rs:4"), "{found:?}");
    }

    #[test]
    fn what_is_no_comparison_of_a_secret_is_not_told() {
        for within in [
            "secret.matches(given)",
            "token.len() == 5",
            "password.is_some() != code.is_some()",
            "proof == Proof::Password",
            "token_id == given",
            "token::Column::TokenHash.eq(token::hash(given))",
            "tokens.iter().count() == 3",
            "matches!(given, Some(x) if x == token.len())",
        ] {
            let found = told("crates/x/src/a.rs", &format!("fn f() -> bool {{ {within} }}"));
            assert!(found.is_empty(), "{within}: {found:?}");
        }
        let in_tests =
            "#[cfg(test)] mod tests { fn f() { assert_eq!(token, 1); } } #[test] fn g() { token == 1; }";
        assert!(told("crates/x/src/a.rs", in_tests).is_empty());
        let files = [
            ("crates/x/src/lib.rs".to_owned(), syn::parse_file("#[cfg(test)] mod bounds;").expect("Rust")),
            ("crates/x/src/bounds.rs".to_owned(), syn::parse_file("fn f() { token == 1; }").expect("Rust")),
        ];
        assert!(judge(&files).is_empty(), "a module for tests, in a file of its own");
        assert!(told("crates/cb-api/src/spa.rs", "fn f() { token == 1; }").is_empty(), "on the list");
    }

    #[test]
    fn a_type_that_shows_its_secret_is_told() {
        for (path, text, what) in [
            (
                "crates/x/src/a.rs",
                "#[derive(Clone, Debug)]\nstruct Login { password: String }",
                "Login is Debug",
            ),
            (
                "crates/x/src/a.rs",
                "#[derive(PartialEq)] struct Hook { secret: Option<Vec<u8>> }",
                "Hook is PartialEq",
            ),
            (
                "crates/x/src/a.rs",
                "#[derive(serde::Serialize)] enum E { A { csrf_token: Box<str> } }",
                "E is Serialize",
            ),
            ("crates/x/src/a.rs", "#[derive(PartialEq)] struct Held(Option<Secret>);", "Held is PartialEq"),
            (
                "crates/x/src/a.rs",
                "#[derive(Serialize)] struct Held { it: cb_core::Secret }",
                "Held is Serialize",
            ),
            ("crates/x/src/sessions.rs", "#[derive(Debug)] struct Opened { x: u8 }", "Opened is Debug"),
            (
                "crates/x/src/factors.rs",
                "#[derive(Serialize, Debug)] struct RecoveryCodes;",
                "RecoveryCodes is Debug",
            ),
            (
                "crates/x/src/secret.rs",
                "struct Secret(String); impl PartialEq for Secret {}",
                "Secret is PartialEq",
            ),
            (
                "crates/x/src/secret.rs",
                "struct Secret(String); impl std::fmt::Display for Secret {}",
                "Secret is Display",
            ),
            (
                "crates/x/src/fernet.rs",
                "struct Key([u8; 32]); impl fmt::Display for Key {}",
                "Key is Display",
            ),
        ] {
            let found = told(path, text);
            assert!(found.len() == 1 && found[0].contains(what), "{text}: {found:?}");
        }
        for (path, text) in [
            ("crates/x/src/a.rs", "#[derive(Debug, Deserialize)] struct Login { password: Secret }"),
            (
                "crates/x/src/a.rs",
                "#[derive(Debug, PartialEq)] struct Shown { token_id: String, tokens: Vec<String> }",
            ),
            ("crates/x/src/a.rs", "#[derive(Debug)] struct Frame { token: u16 }"),
            (
                "crates/x/src/secret.rs",
                "#[derive(Clone)] struct Secret(String); impl std::fmt::Debug for Secret {}",
            ),
            ("crates/x/src/tokens.rs", "#[derive(Serialize)] struct NewToken { secret: String }"),
            (
                "crates/cb-store/src/entities/user.rs",
                "#[derive(Debug, PartialEq)] struct Model { password_hash: String }",
            ),
            ("crates/x/src/links.rs", "#[derive(Debug)] struct LinkOut { path: String }"),
        ] {
            let found = told(path, text);
            assert!(found.is_empty(), "{text}: {found:?}");
        }
    }

    #[test]
    fn what_stands_on_a_list_for_nothing_is_told() {
        let found = told("crates/cb-core/src/secret.rs", "struct Secret(String);");
        assert!(
            found.iter().any(|b| b.starts_with("`crates/cb-api/src/spa.rs token` is not met any more")),
            "{found:?}"
        );
        assert!(!found.iter().any(|b| b.contains("secret::Secret")), "{found:?}");
    }
}
