//! What each route asks of its caller: one table. A route that is neither here nor on [`crate::auth::PUBLIC`] is closed to
//! everybody; the use case behind it looks again.

use std::collections::HashMap;
use std::sync::LazyLock;

use cb_core::Permission::{
    self, AuditRead, CredentialsRead, CredentialsWrite, DiscoveryRead, DiscoveryWrite, InventoryRead,
    InventoryWrite, MetricsRead, NotificationsRead, NotificationsWrite, SettingsRead, SettingsWrite,
    UsersRead, UsersWrite, VaultRead, VaultWrite,
};
use cb_core::{Error, Principal};
use http::Method;

/// What a caller must be or have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To be signed in, or a token; the use case decides the rest.
    Principal,
    /// A session; to a token the route is not there.
    Session,
    Permission(Permission),
}

use Needs::{Permission as May, Principal as Known, Session};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

/// Paths under `/api/v1`.
pub const TABLE: &[(Method, &str, Needs)] = &[
    (GET, "/addresses", May(InventoryRead)),
    (POST, "/addresses", May(InventoryWrite)),
    (GET, "/addresses/{id}", May(InventoryRead)),
    (PATCH, "/addresses/{id}", May(InventoryWrite)),
    (DELETE, "/addresses/{id}", May(InventoryWrite)),
    (GET, "/assets", May(InventoryRead)),
    (POST, "/assets", May(InventoryWrite)),
    (POST, "/assets/delete", May(InventoryWrite)),
    (GET, "/assets/export", May(InventoryRead)),
    (POST, "/assets/tag", May(InventoryWrite)),
    (GET, "/assets/{id}", May(InventoryRead)),
    (PATCH, "/assets/{id}", May(InventoryWrite)),
    (DELETE, "/assets/{id}", May(InventoryWrite)),
    (GET, "/audit-log", May(AuditRead)),
    (GET, "/audit-log/checkpoints", May(AuditRead)),
    (GET, "/audit-log/export", May(AuditRead)),
    (GET, "/audit-log/standing", May(AuditRead)),
    (GET, "/audit-log/stream", May(AuditRead)),
    (GET, "/audit-log/verify", May(AuditRead)),
    (GET, "/auth/identities", Session),
    (DELETE, "/auth/identities/{id}", Session),
    (POST, "/auth/logout", Session),
    (GET, "/auth/me", Session),
    (POST, "/auth/oidc/{slug}/link", Session),
    (GET, "/auth/passkeys", Session),
    (POST, "/auth/passkeys", Session),
    (POST, "/auth/passkeys/registration", Session),
    (PATCH, "/auth/passkeys/{id}", Session),
    (DELETE, "/auth/passkeys/{id}", Session),
    (POST, "/auth/password", Session),
    (POST, "/auth/proof", Session),
    (POST, "/auth/proof/passkey", Session),
    (POST, "/auth/recovery-codes", Session),
    (GET, "/auth/sessions", Session),
    (DELETE, "/auth/sessions", Session),
    (DELETE, "/auth/sessions/{id}", Session),
    (GET, "/auth/totp", Session),
    (POST, "/auth/totp", Session),
    (DELETE, "/auth/totp", Session),
    (POST, "/auth/totp/confirm", Session),
    (GET, "/channel-kinds", May(NotificationsRead)),
    (GET, "/channels", May(NotificationsRead)),
    (POST, "/channels", May(NotificationsWrite)),
    (GET, "/channels/{id}", May(NotificationsRead)),
    (PATCH, "/channels/{id}", May(NotificationsWrite)),
    (DELETE, "/channels/{id}", May(NotificationsWrite)),
    (GET, "/channels/{id}/deliveries", May(NotificationsRead)),
    (POST, "/channels/{id}/deliveries/{delivery}/redeliver", May(NotificationsWrite)),
    (POST, "/channels/{id}/test", May(NotificationsWrite)),
    (GET, "/credential-kinds", May(CredentialsRead)),
    (GET, "/credentials", May(CredentialsRead)),
    (POST, "/credentials", May(CredentialsWrite)),
    (GET, "/credentials/{id}", May(CredentialsRead)),
    (PATCH, "/credentials/{id}", May(CredentialsWrite)),
    (DELETE, "/credentials/{id}", May(CredentialsWrite)),
    // What its answer says depends on `credentials:write`.
    (POST, "/credentials/{id}/test", May(CredentialsRead)),
    (GET, "/credentials/{id}/uses", May(CredentialsRead)),
    (GET, "/discovery", May(DiscoveryRead)),
    (GET, "/discovery/stream", May(DiscoveryRead)),
    (GET, "/findings", May(DiscoveryRead)),
    // Accepting also wants `inventory:write`, for it makes assets.
    (POST, "/findings/accept", May(DiscoveryWrite)),
    (GET, "/findings/groups", May(DiscoveryRead)),
    (POST, "/findings/ignore", May(DiscoveryWrite)),
    (POST, "/findings/propose", May(DiscoveryWrite)),
    (POST, "/findings/reopen", May(DiscoveryWrite)),
    (POST, "/findings/tag", May(DiscoveryWrite)),
    // Also wants `inventory:write` where it takes an acceptance back.
    (POST, "/findings/undo", May(DiscoveryWrite)),
    (GET, "/findings/{id}", May(DiscoveryRead)),
    (POST, "/findings/{id}/accept", May(DiscoveryWrite)),
    (POST, "/findings/{id}/ignore", May(DiscoveryWrite)),
    (POST, "/findings/{id}/reopen", May(DiscoveryWrite)),
    (GET, "/hooks", May(NotificationsRead)),
    (POST, "/hooks", May(NotificationsWrite)),
    (GET, "/hooks/{id}", May(NotificationsRead)),
    (PATCH, "/hooks/{id}", May(NotificationsWrite)),
    (DELETE, "/hooks/{id}", May(NotificationsWrite)),
    (GET, "/hooks/{id}/events", May(NotificationsRead)),
    (POST, "/hooks/{id}/secret", May(NotificationsWrite)),
    (GET, "/interfaces", May(InventoryRead)),
    (POST, "/interfaces", May(InventoryWrite)),
    (GET, "/interfaces/{id}", May(InventoryRead)),
    (PATCH, "/interfaces/{id}", May(InventoryWrite)),
    (DELETE, "/interfaces/{id}", May(InventoryWrite)),
    (GET, "/invites", May(UsersRead)),
    (POST, "/invites", May(UsersWrite)),
    (DELETE, "/invites/{id}", May(UsersWrite)),
    (GET, "/links", May(InventoryRead)),
    (POST, "/links", May(InventoryWrite)),
    (GET, "/links/{id}", May(InventoryRead)),
    (PATCH, "/links/{id}", May(InventoryWrite)),
    (DELETE, "/links/{id}", May(InventoryWrite)),
    (GET, "/map", May(InventoryRead)),
    (PUT, "/map/positions", May(InventoryWrite)),
    (DELETE, "/map/positions/{asset_id}", May(InventoryWrite)),
    (GET, "/networks", May(InventoryRead)),
    (POST, "/networks", May(InventoryWrite)),
    (GET, "/networks/{id}", May(InventoryRead)),
    (PATCH, "/networks/{id}", May(InventoryWrite)),
    (DELETE, "/networks/{id}", May(InventoryWrite)),
    (GET, "/notice-kinds", May(NotificationsRead)),
    (GET, "/notifications/stream", May(NotificationsRead)),
    (GET, "/oidc-providers", May(UsersRead)),
    (POST, "/oidc-providers", May(UsersWrite)),
    (GET, "/oidc-providers/{id}", May(UsersRead)),
    (PATCH, "/oidc-providers/{id}", May(UsersWrite)),
    (DELETE, "/oidc-providers/{id}", May(UsersWrite)),
    (POST, "/oidc-providers/{id}/test", May(UsersWrite)),
    (GET, "/openapi.json", Known),
    (GET, "/operations", May(MetricsRead)),
    (GET, "/operations/job-kinds", May(MetricsRead)),
    (GET, "/operations/jobs", May(MetricsRead)),
    (DELETE, "/operations/jobs/{id}", May(SettingsWrite)),
    (POST, "/operations/jobs/{id}/retry", May(SettingsWrite)),
    (GET, "/operations/periodic", May(MetricsRead)),
    (GET, "/proxies", May(SettingsRead)),
    (GET, "/roles", May(SettingsRead)),
    (GET, "/scans", May(DiscoveryRead)),
    (POST, "/scans", May(DiscoveryWrite)),
    (GET, "/scans/{id}", May(DiscoveryRead)),
    (POST, "/scans/{id}/cancel", May(DiscoveryWrite)),
    (GET, "/settings", May(SettingsRead)),
    (PATCH, "/settings", May(SettingsWrite)),
    (GET, "/storage", Known),
    (GET, "/tags", May(InventoryRead)),
    (POST, "/tags", May(InventoryWrite)),
    (GET, "/tags/{id}", May(InventoryRead)),
    (PATCH, "/tags/{id}", May(InventoryWrite)),
    (DELETE, "/tags/{id}", May(InventoryWrite)),
    (GET, "/tokens", Session),
    (POST, "/tokens", Session),
    // One's own, or anyone's with `users:write`.
    (DELETE, "/tokens/{id}", Known),
    (GET, "/topology/stream", May(InventoryRead)),
    (GET, "/users", May(UsersRead)),
    (POST, "/users", May(UsersWrite)),
    (GET, "/users/{id}", May(UsersRead)),
    (PATCH, "/users/{id}", May(UsersWrite)),
    (DELETE, "/users/{id}", May(UsersWrite)),
    (POST, "/users/{id}/reset-link", May(UsersWrite)),
    (POST, "/users/{id}/reset-mail", May(UsersWrite)),
    (DELETE, "/users/{id}/second-factor", May(UsersWrite)),
    (GET, "/users/{id}/sessions", May(UsersRead)),
    (DELETE, "/users/{id}/sessions", May(UsersWrite)),
    (GET, "/vault", May(VaultRead)),
    (POST, "/vault/rotate", May(VaultWrite)),
    (GET, "/views", Session),
    (POST, "/views", Session),
    (GET, "/views/{id}", Session),
    (PATCH, "/views/{id}", Session),
    (DELETE, "/views/{id}", Session),
    (GET, "/webhooks", May(NotificationsRead)),
    (POST, "/webhooks", May(NotificationsWrite)),
    (GET, "/webhooks/{id}", May(NotificationsRead)),
    (PATCH, "/webhooks/{id}", May(NotificationsWrite)),
    (DELETE, "/webhooks/{id}", May(NotificationsWrite)),
    (GET, "/webhooks/{id}/deliveries", May(NotificationsRead)),
    (POST, "/webhooks/{id}/deliveries/{delivery}/redeliver", May(NotificationsWrite)),
    (POST, "/webhooks/{id}/secret", May(NotificationsWrite)),
    (POST, "/webhooks/{id}/test", May(NotificationsWrite)),
];

/// Paths outside of `/api/v1`.
pub const OUTSIDE: &[(Method, &str, Needs)] = &[(GET, "/metrics", May(MetricsRead))];

static BY_ROUTE: LazyLock<HashMap<(&str, &str), Needs>> =
    LazyLock::new(|| TABLE.iter().map(|(method, path, needs)| ((method.as_str(), *path), *needs)).collect());

/// The row of a route, by its whole template; `HEAD` goes with `GET`.
pub fn needs(method: &Method, route: &str) -> Option<Needs> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    if let Some(path) = route.strip_prefix("/api/v1") {
        return BY_ROUTE.get(&(method, path)).copied();
    }
    OUTSIDE.iter().find(|(of, path, _)| (of.as_str(), *path) == (method, route)).map(|(_, _, needs)| *needs)
}

/// Whether `principal` may call the route at all.
pub fn check(principal: &Principal, needs: Needs) -> Result<(), Error> {
    match needs {
        Needs::Principal => Ok(()),
        Needs::Session if principal.session().is_some() => Ok(()),
        Needs::Session => Err(Error::NotFound),
        Needs::Permission(permission) => principal.authorize(permission),
    }
}
