//! What inputs must be, as the API's description says it: one table, made of the same constants that the checks use. What no schema can
//! say (that an asset exists, that an address is the network's) is told by the answer alone.
//!
//! To add a field: a line in [`FIELDS`]. A test of the API sends what is just within and just beyond each bound, and fails for a line
//! that names no field.

use cb_collect::report::{MAX_TARGETS, ProbeKind};
use cb_core::{NoticeKind, Permission};

use crate::auth::factors::CODE_MOST;
use crate::auth::passkeys::NAME_MOST as PASSKEY_NAME_MOST;
use crate::auth::rules::{EMAIL_MOST, PASSWORD_LEAST, PASSWORD_MOST, USERNAME_MOST};
use crate::input::{HOSTNAME_MAX, LABEL_MAX, NAME_MAX, NOTES_MAX, SHORT_MAX, TAG_MAX};

/// A field's bound.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// A text of one line with something in it.
    Line(usize),
    /// The same, or empty: then it counts as left out.
    OptionalLine(usize),
    /// A text of several lines, or empty.
    Lines(usize),
    /// Any text of so many characters.
    Text(usize, usize),
    Pattern(&'static str),
    Number(i64, i64),
    /// A list of so many.
    Items(usize, usize),
    /// A list of so many of these words.
    Words(usize, usize, fn() -> Vec<&'static str>),
    /// A list of these words.
    Choice(fn() -> Vec<&'static str>),
}

use Bound::{Choice, Items, Line, Lines, Number, OptionalLine, Pattern, Text, Words};

// Patterns of ECMA-262, as JSON Schema has them. White space around is trimmed, so it is permitted.
pub const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*[^\x00-\x1f\x7f-\x9f\s][^\x00-\x1f\x7f-\x9f]*$";
pub const OPTIONAL_LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";
pub const LINES: &str = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$";
/// Of every other text that comes in: PostgreSQL cannot keep it, so no input has it.
pub const NO_NUL: &str = r"^[^\x00]*$";
const USERNAME: &str = r"^[A-Za-z0-9._@-]{1,64}$";
const EMAIL: &str = r"^([^@\x00-\x20\x7f-\x9f\s]+@[^@\x00-\x20\x7f-\x9f\s]+)?$";
const COLOR: &str = r"^#[0-9A-Fa-f]{6}$";
const SLUG: &str = r"^[a-z0-9-]{1,32}$";
/// A name of the client's own, such as a column.
const WORD: &str = r"^[a-z0-9_]{1,64}$";
const ORDER: &str = r"^(-?[a-z0-9_]{1,64})?$";
const MAC: &str = r"^([0-9A-Fa-f]{2}([:-]?[0-9A-Fa-f]{2}){5})?$";
const PIN: &str = r"^(:*[0-9A-Fa-f]){64}:*$";
const PATH: &str = r#"^/([!"$-.0-~][!"$-~]{0,510})?$"#;
const ISSUER: &str = concat!(
    r"^https://[A-Za-z0-9]([A-Za-z0-9.-]{0,200}[A-Za-z0-9])?",
    r"(:([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?",
    r"(/[A-Za-z0-9._~/-]{0,200})?$"
);

macro_rules! v4 {
    () => {
        r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}"
    };
}
macro_rules! v6 {
    () => {
        concat!(
            r"(([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){1,7}:|([0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}",
            r"|([0-9A-Fa-f]{1,4}:){1,5}(:[0-9A-Fa-f]{1,4}){1,2}|([0-9A-Fa-f]{1,4}:){1,4}(:[0-9A-Fa-f]{1,4}){1,3}",
            r"|([0-9A-Fa-f]{1,4}:){1,3}(:[0-9A-Fa-f]{1,4}){1,4}|([0-9A-Fa-f]{1,4}:){1,2}(:[0-9A-Fa-f]{1,4}){1,5}",
            r"|[0-9A-Fa-f]{1,4}:(:[0-9A-Fa-f]{1,4}){1,6}|:((:[0-9A-Fa-f]{1,4}){1,7}|:)",
            r"|([0-9A-Fa-f]{1,4}:){6}",
            v4!(),
            r"|::([Ff]{4}:)?",
            v4!(),
            ")"
        )
    };
}
const ADDRESS: &str = concat!("^(", v4!(), "|", v6!(), ")$");
const OPTIONAL_ADDRESS: &str = concat!("^(", v4!(), "|", v6!(), ")?$");
const NETWORK: &str =
    concat!("^(", v4!(), "/(3[0-2]|[12]?[0-9])|", v6!(), "/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$");

fn probes() -> Vec<&'static str> {
    ProbeKind::ALL.iter().map(|probe| probe.as_str()).collect()
}

fn scopes() -> Vec<&'static str> {
    Permission::ALL.iter().map(|permission| permission.as_str()).collect()
}

// Numbers of other types that are lossless here.
const FAR: i64 = crate::map::FAR as i64;
const VLAN_MOST: i64 = crate::networks::VLAN_MOST as i64;
const PAGE_MOST: i64 = crate::page::MOST.cast_signed();

/// A test comes when somebody asks for it, whatever was chosen.
fn events() -> Vec<&'static str> {
    NoticeKind::ALL.iter().filter(|kind| **kind != NoticeKind::Test).map(|kind| kind.as_str()).collect()
}

/// A schema of the description, its field, and what that must be.
pub const FIELDS: &[(&str, &str, Bound)] = &[
    ("AcceptIn", "name", Line(NAME_MAX)),
    ("AcceptInviteIn", "password", Text(PASSWORD_LEAST, PASSWORD_MOST)),
    ("AcceptInviteIn", "username", Pattern(USERNAME)),
    ("AcceptIn", "role", OptionalLine(SHORT_MAX)),
    ("AddressIn", "hostname", OptionalLine(HOSTNAME_MAX)),
    ("AddressIn", "ip", Pattern(ADDRESS)),
    ("AddressPatch", "hostname", OptionalLine(HOSTNAME_MAX)),
    ("AddressPatch", "ip", Pattern(ADDRESS)),
    ("AssetIn", "model", OptionalLine(SHORT_MAX)),
    ("AssetIn", "name", Line(NAME_MAX)),
    ("AssetIn", "notes", Lines(NOTES_MAX)),
    ("AssetIn", "os", OptionalLine(SHORT_MAX)),
    ("AssetIn", "role", OptionalLine(SHORT_MAX)),
    ("AssetIn", "tags", Items(0, crate::assets::TAGS_MOST)),
    ("AssetIn", "vendor", OptionalLine(SHORT_MAX)),
    ("AssetPatch", "model", OptionalLine(SHORT_MAX)),
    ("AssetPatch", "name", Line(NAME_MAX)),
    ("AssetPatch", "notes", Lines(NOTES_MAX)),
    ("AssetPatch", "os", OptionalLine(SHORT_MAX)),
    ("AssetPatch", "role", OptionalLine(SHORT_MAX)),
    ("AssetPatch", "tags", Items(0, crate::assets::TAGS_MOST)),
    ("AssetPatch", "vendor", OptionalLine(SHORT_MAX)),
    ("AssetsIn", "ids", Items(1, crate::assets::BULK_MOST)),
    ("AssetsTagIn", "tags", Items(1, crate::assets::TAGS_MOST)),
    ("ChannelIn", "events", Choice(events)),
    ("ChannelIn", "name", Line(SHORT_MAX)),
    ("ChannelPatch", "events", Choice(events)),
    ("ChannelPatch", "name", Line(SHORT_MAX)),
    ("CredentialIn", "hosts", Items(1, crate::credentials::HOSTS_MOST)),
    ("CredentialIn", "name", Line(SHORT_MAX)),
    ("CredentialPatch", "hosts", Items(1, crate::credentials::HOSTS_MOST)),
    ("CredentialPatch", "name", Line(SHORT_MAX)),
    ("CredentialTestIn", "path", Pattern(PATH)),
    ("CredentialTestIn", "port", Number(1, 65_535)),
    ("FindingsIn", "ids", Items(1, crate::findings::REVIEW_MOST)),
    ("FindingsProposeIn", "role", OptionalLine(SHORT_MAX)),
    ("FindingsTagIn", "tags", Items(1, crate::assets::TAGS_MOST)),
    ("ForgotIn", "username", Line(USERNAME_MOST)),
    ("HookIn", "name", Line(SHORT_MAX)),
    ("HookPatch", "name", Line(SHORT_MAX)),
    ("InterfaceIn", "mac", Pattern(MAC)),
    ("InterfaceIn", "name", Line(NAME_MAX)),
    ("InterfacePatch", "mac", Pattern(MAC)),
    ("InterfacePatch", "name", Line(NAME_MAX)),
    ("InviteIn", "email", Pattern(EMAIL)),
    ("LinkIn", "label", OptionalLine(LABEL_MAX)),
    ("LinkPatch", "label", OptionalLine(LABEL_MAX)),
    ("MfaIn", "code", Text(0, CODE_MOST)),
    ("NetworkIn", "cidr", Pattern(NETWORK)),
    ("NetworkIn", "gateway", Pattern(OPTIONAL_ADDRESS)),
    ("NetworkIn", "name", Line(NAME_MAX)),
    ("NetworkIn", "notes", Lines(NOTES_MAX)),
    ("NetworkIn", "vlan", Number(1, VLAN_MOST)),
    ("NetworkPatch", "cidr", Pattern(NETWORK)),
    ("NetworkPatch", "gateway", Pattern(OPTIONAL_ADDRESS)),
    ("NetworkPatch", "name", Line(NAME_MAX)),
    ("NetworkPatch", "notes", Lines(NOTES_MAX)),
    ("NetworkPatch", "vlan", Number(1, VLAN_MOST)),
    ("OidcProviderIn", "certificate_sha256", Pattern(PIN)),
    ("OidcProviderIn", "client_id", Line(crate::oidc::providers::CLIENT_ID_MOST)),
    ("OidcProviderIn", "client_secret", Line(crate::oidc::providers::CLIENT_SECRET_MOST)),
    ("OidcProviderIn", "groups_claim", Line(crate::oidc::providers::CLAIM_MOST)),
    ("OidcProviderIn", "issuer", Pattern(ISSUER)),
    ("OidcProviderIn", "name", Line(crate::oidc::providers::NAME_MOST)),
    ("OidcProviderIn", "role_groups", Items(0, crate::oidc::providers::GROUPS_MOST)),
    ("OidcProviderIn", "scopes", Items(0, crate::oidc::providers::SCOPES_MOST)),
    ("OidcProviderIn", "slug", Pattern(SLUG)),
    ("OidcProviderPatch", "certificate_sha256", Pattern(PIN)),
    ("OidcProviderPatch", "client_id", Line(crate::oidc::providers::CLIENT_ID_MOST)),
    ("OidcProviderPatch", "client_secret", Line(crate::oidc::providers::CLIENT_SECRET_MOST)),
    ("OidcProviderPatch", "groups_claim", Line(crate::oidc::providers::CLAIM_MOST)),
    ("OidcProviderPatch", "issuer", Pattern(ISSUER)),
    ("OidcProviderPatch", "name", Line(crate::oidc::providers::NAME_MOST)),
    ("OidcProviderPatch", "role_groups", Items(0, crate::oidc::providers::GROUPS_MOST)),
    ("OidcProviderPatch", "scopes", Items(0, crate::oidc::providers::SCOPES_MOST)),
    ("PasskeyIn", "name", Line(PASSKEY_NAME_MOST)),
    ("PasskeyPatch", "name", Line(PASSKEY_NAME_MOST)),
    ("PasswordIn", "new_password", Text(PASSWORD_LEAST, PASSWORD_MOST)),
    ("PositionIn", "x", Number(-FAR, FAR)),
    ("PositionIn", "y", Number(-FAR, FAR)),
    ("PositionsIn", "positions", Items(1, crate::map::POSITIONS_MOST)),
    ("ProofIn", "code", Text(0, CODE_MOST)),
    ("ProofIn", "password", Text(0, PASSWORD_MOST)),
    ("ResetIn", "new_password", Text(PASSWORD_LEAST, PASSWORD_MOST)),
    ("RoleGroup", "group", Line(NAME_MAX)),
    ("ScanIn", "probes", Words(0, crate::scans::PROBES_MOST, probes)),
    ("ScanIn", "targets", Items(1, MAX_TARGETS)),
    ("SettingsPatch", "instance_name", Line(TAG_MAX)),
    ("SetupIn", "email", Pattern(EMAIL)),
    ("SetupIn", "password", Text(PASSWORD_LEAST, PASSWORD_MOST)),
    ("SetupIn", "username", Pattern(USERNAME)),
    ("TagIn", "color", Pattern(COLOR)),
    ("TagIn", "name", Line(TAG_MAX)),
    ("TagPatch", "color", Pattern(COLOR)),
    ("TagPatch", "name", Line(TAG_MAX)),
    ("TokenIn", "expires_in_days", Number(1, crate::tokens::DAYS_MOST)),
    ("TokenIn", "name", Line(crate::tokens::NAME_MOST)),
    ("TokenIn", "scopes", Words(1, crate::tokens::SCOPES_MOST, scopes)),
    ("TotpConfirm", "code", Text(0, CODE_MOST)),
    ("UserIn", "email", Pattern(EMAIL)),
    ("UserIn", "password", Text(PASSWORD_LEAST, PASSWORD_MOST)),
    ("UserIn", "username", Pattern(USERNAME)),
    ("UserPatch", "email", Pattern(EMAIL)),
    ("ViewColumn", "id", Pattern(WORD)),
    ("ViewIn", "columns", Items(0, crate::views::COLUMNS_MOST)),
    ("ViewIn", "name", Line(SHORT_MAX)),
    ("ViewIn", "narrowed", Items(0, crate::views::NARROWED_MOST)),
    ("ViewIn", "q", OptionalLine(crate::views::FILTER_MOST)),
    ("ViewIn", "sort", Pattern(ORDER)),
    ("ViewNarrowing", "name", Pattern(WORD)),
    ("ViewNarrowing", "value", Line(LABEL_MAX)),
    ("ViewPatch", "columns", Items(0, crate::views::COLUMNS_MOST)),
    ("ViewPatch", "name", Line(SHORT_MAX)),
    ("ViewPatch", "narrowed", Items(0, crate::views::NARROWED_MOST)),
    ("ViewPatch", "q", OptionalLine(crate::views::FILTER_MOST)),
    ("ViewPatch", "sort", Pattern(ORDER)),
    ("WebhookIn", "events", Choice(events)),
    ("WebhookIn", "name", Line(SHORT_MAX)),
    ("WebhookIn", "url", Line(crate::notify::webhooks::URL_MAX)),
    ("WebhookPatch", "events", Choice(events)),
    ("WebhookPatch", "name", Line(SHORT_MAX)),
    ("WebhookPatch", "url", Line(crate::notify::webhooks::URL_MAX)),
];

/// What every list may be asked, and its bound.
pub const LISTS: &[(&str, Bound)] = &[("limit", Number(1, PAGE_MOST)), ("q", Text(0, crate::page::Q_MAX))];

// The patterns have these numbers in them.
const _: () = assert!(USERNAME_MOST == 64 && EMAIL_MOST == 254);
