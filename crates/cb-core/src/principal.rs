//! Who acts, and what a role permits: one static table.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Time;
use crate::error::{Error, Result};
use crate::ids::{HookId, ScanId, SessionId, TokenId, UserId};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Editor,
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Editor, Role::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// The table. A permission that is not listed for a role is not given.
    pub fn permits(self, permission: Permission) -> bool {
        use Permission as P;
        match permission {
            P::InventoryRead | P::DiscoveryRead | P::SettingsRead => true,
            P::InventoryWrite | P::DiscoveryWrite | P::CredentialsRead | P::NotificationsRead => {
                matches!(self, Role::Editor | Role::Admin)
            }
            P::AuditRead
            | P::SettingsWrite
            | P::UsersRead
            | P::UsersWrite
            | P::VaultRead
            | P::VaultWrite
            | P::CredentialsWrite
            | P::NotificationsWrite
            | P::MetricsRead => matches!(self, Role::Admin),
        }
    }
}

/// Written `resource:read` or `resource:write`; also the scopes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    InventoryRead,
    InventoryWrite,
    DiscoveryRead,
    DiscoveryWrite,
    AuditRead,
    SettingsRead,
    SettingsWrite,
    UsersRead,
    UsersWrite,
    VaultRead,
    VaultWrite,
    /// To see which credentials there are, never their secrets, and to use them where they may be used.
    CredentialsRead,
    CredentialsWrite,
    NotificationsRead,
    NotificationsWrite,
    /// To see how the servers run: periodic work, metrics.
    MetricsRead,
}

impl Permission {
    pub const ALL: [Permission; 16] = [
        Permission::InventoryRead,
        Permission::InventoryWrite,
        Permission::DiscoveryRead,
        Permission::DiscoveryWrite,
        Permission::AuditRead,
        Permission::SettingsRead,
        Permission::SettingsWrite,
        Permission::UsersRead,
        Permission::UsersWrite,
        Permission::VaultRead,
        Permission::VaultWrite,
        Permission::CredentialsRead,
        Permission::CredentialsWrite,
        Permission::NotificationsRead,
        Permission::NotificationsWrite,
        Permission::MetricsRead,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Permission::InventoryRead => "inventory:read",
            Permission::InventoryWrite => "inventory:write",
            Permission::DiscoveryRead => "discovery:read",
            Permission::DiscoveryWrite => "discovery:write",
            Permission::AuditRead => "audit:read",
            Permission::SettingsRead => "settings:read",
            Permission::SettingsWrite => "settings:write",
            Permission::UsersRead => "users:read",
            Permission::UsersWrite => "users:write",
            Permission::VaultRead => "vault:read",
            Permission::VaultWrite => "vault:write",
            Permission::CredentialsRead => "credentials:read",
            Permission::CredentialsWrite => "credentials:write",
            Permission::NotificationsRead => "notifications:read",
            Permission::NotificationsWrite => "notifications:write",
            Permission::MetricsRead => "metrics:read",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == text)
    }
}

/// Who acts. There is no anonymous principal and none that is made up.
#[derive(Debug, Clone)]
pub enum Principal {
    User {
        id: UserId,
        username: String,
        role: Role,
        session: SessionId,
        /// When they last showed a password or a second factor.
        proved_at: Option<Time>,
    },
    /// A program with a user's API token: `scopes`, cut to what its owner's role permits now.
    Token { id: TokenId, name: String, owner: UserId, username: String, role: Role, scopes: Vec<Permission> },
    /// The holder of `CB_API_TOKEN`.
    Operator,
    /// The server itself, on behalf of a scan that a person started.
    Scanner { scan: ScanId },
    /// Another system, whose message proved to come from where this hook is known; permits nothing, and only the audit log sees it.
    Hook { id: HookId, name: String },
    /// The one-time code's holder, during setup only; `username` is who they become.
    Setup { username: String },
    /// Whoever tries to sign in under `username`; permits nothing, and only the audit log sees it.
    SignIn { username: String },
    /// The command line on the server's own machine.
    Cli,
    /// The server itself, for what the calendar asks for; permits nothing, and only the audit log sees it.
    Server,
    /// The server itself, which reads once for everybody who has this one permission.
    Teller { reads: Permission },
}

impl Principal {
    pub fn permits(&self, permission: Permission) -> bool {
        match self {
            Principal::User { role, .. } => role.permits(permission),
            Principal::Token { role, scopes, .. } => role.permits(permission) && scopes.contains(&permission),
            Principal::Operator | Principal::Cli => true,
            Principal::Scanner { .. } => {
                matches!(permission, Permission::DiscoveryWrite | Permission::InventoryWrite)
            }
            Principal::Teller { reads } => *reads == permission,
            Principal::Hook { .. }
            | Principal::Setup { .. }
            | Principal::SignIn { .. }
            | Principal::Server => false,
        }
    }

    /// [`Principal::permits`], as a refusal that says what is missing.
    pub fn authorize(&self, permission: Permission) -> Result<()> {
        if self.permits(permission) {
            return Ok(());
        }
        let (name, word) = (self.name(), permission.as_str());
        Err(Error::Denied(match self {
            Principal::Token { role, .. } if role.permits(permission) => {
                format!("This token of {name} needs the scope {word}. Create a token that has it.")
            }
            _ => format!("{name} needs the permission {word}. Ask an administrator."),
        }))
    }

    /// `user`, `operator` or `system`: how the audit log groups actors.
    pub fn kind(&self) -> &'static str {
        match self {
            Principal::User { .. } | Principal::Token { .. } => "user",
            Principal::Operator => "operator",
            Principal::Scanner { .. }
            | Principal::Hook { .. }
            | Principal::Setup { .. }
            | Principal::SignIn { .. }
            | Principal::Cli
            | Principal::Server
            | Principal::Teller { .. } => "system",
        }
    }

    pub fn id(&self) -> Option<Uuid> {
        match self {
            Principal::User { id, .. } | Principal::Token { owner: id, .. } => Some(id.0),
            Principal::Operator => Some(Uuid::nil()),
            Principal::Scanner { scan } => Some(scan.0),
            Principal::Hook { id, .. } => Some(id.0),
            Principal::Setup { .. }
            | Principal::SignIn { .. }
            | Principal::Cli
            | Principal::Server
            | Principal::Teller { .. } => None,
        }
    }

    pub fn name(&self) -> String {
        match self {
            Principal::User { username, .. } => username.clone(),
            Principal::Token { username, name, .. } => format!("{username} (token {name})"),
            Principal::Operator => "operator token".to_owned(),
            Principal::Scanner { .. } => "scanner".to_owned(),
            Principal::Hook { name, .. } => format!("hook ({name})"),
            Principal::Setup { username } => format!("setup ({username})"),
            Principal::SignIn { username } => format!("sign-in ({username})"),
            Principal::Cli => "command line".to_owned(),
            Principal::Server | Principal::Teller { .. } => "server".to_owned(),
        }
    }

    pub fn session(&self) -> Option<SessionId> {
        match self {
            Principal::User { session, .. } => Some(*session),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Permission, Principal, Role};

    #[test]
    fn the_table_is_as_reviewed() {
        let granted = |role: Role| {
            Permission::ALL.iter().filter(|p| role.permits(**p)).map(|p| p.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(granted(Role::Viewer), ["inventory:read", "discovery:read", "settings:read"]);
        assert_eq!(
            granted(Role::Editor),
            [
                "inventory:read",
                "inventory:write",
                "discovery:read",
                "discovery:write",
                "settings:read",
                "credentials:read",
                "notifications:read"
            ]
        );
        assert_eq!(granted(Role::Admin).len(), Permission::ALL.len());
    }

    #[test]
    fn a_teller_reads_one_thing_and_writes_nothing() {
        for reads in Permission::ALL {
            let teller = Principal::Teller { reads };
            assert!(Permission::ALL.iter().all(|p| teller.permits(*p) == (*p == reads)));
        }
    }

    #[test]
    fn a_token_has_its_scopes_and_never_more_than_its_owner() {
        let token = |role, scopes: &[Permission]| Principal::Token {
            id: uuid::Uuid::nil().into(),
            name: "backup".to_owned(),
            owner: uuid::Uuid::nil().into(),
            username: "ada".to_owned(),
            role,
            scopes: scopes.to_vec(),
        };
        let read_only = token(Role::Admin, &[Permission::InventoryRead]);
        assert!(
            read_only.permits(Permission::InventoryRead) && !read_only.permits(Permission::InventoryWrite)
        );
        let demoted = token(Role::Viewer, &Permission::ALL);
        assert!(demoted.permits(Permission::InventoryRead) && !demoted.permits(Permission::UsersWrite));
    }
}
