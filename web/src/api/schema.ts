/**
 * Short names for the generated API types. `schema.gen.ts` is made by `npm run gen` from docs/openapi.json and is
 * never edited; a name used here that disappears from the server fails `tsc`.
 */
import type { components } from "./schema.gen";

type S = components["schemas"];

export type Address = S["Address"];
export type AddressConflict = S["AddressConflict"];
export type Asset = S["Asset"];
export type AssetDetail = S["AssetDetail"];
export type AssetRef = S["AssetRef"];
export type AssetKind = S["AssetKind"];
export type AssetStatus = S["AssetStatus"];
export type AuditAction = S["AuditAction"];
export type AuditEntry = S["AuditEntry"];
export type Channel = S["Channel"];
export type ChannelIn = S["ChannelIn"];
export type ChannelKind = S["ChannelKind"];
export type ChannelKindDescription = S["ChannelKindDescription"];
export type Checkpoint = S["Checkpoint"];
export type Credential = S["Credential"];
export type CredentialIn = S["CredentialIn"];
export type CredentialKind = S["CredentialKind"];
export type CredentialKindDescription = S["CredentialKindDescription"];
export type CredentialTest = S["CredentialTest"];
export type DatabaseState = S["Database"];
export type Degraded = S["Degraded"];
export type Delivery = S["Delivery"];
export type DeliveryAttempt = S["DeliveryAttempt"];
export type DeliveryState = S["DeliveryState"];
export type Discovery = S["Discovery"];
export type Fabric = S["Fabric"];
export type FabricLink = S["FabricLink"];
export type Finding = S["Finding"];
export type Interface = S["Interface"];
export type Link = S["Link"];
export type LinkEvidence = S["LinkEvidence"];
export type LinkKind = S["LinkKind"];
export type LinkOut = S["LinkOut"];
export type MapGroup = S["MapGroup"];
export type MapLink = S["MapLink"];
export type MapNode = S["MapNode"];
export type MapOut = S["MapOut"];
export type Me = S["Me"];
export type CredentialJson = S["PasskeyIn"]["credential"];
export type Hook = S["Hook"];
export type HookEvent = S["HookEvent"];
export type HookFormat = S["HookFormat"];
export type Identity = S["UserIdentity"];
export type Method = S["Method"];
export type Network = S["Network"];
export type NetworkDetail = S["NetworkDetail"];
export type NoticeKind = S["NoticeKind"];
export type NotificationTest = S["NotificationTest"];
export type Operations = S["Operations"];
export type OpenSession = S["OpenSession"];
export type OidcProvider = S["OidcProvider"];
export type OidcProviderIn = S["OidcProviderIn"];
export type Passkey = S["Passkey"];
export type PasskeyChallenge = S["PasskeyChallenge"];
export type PasskeyRegistration = S["PasskeyRegistrationOut"];
export type Permission = S["TokenIn"]["scopes"][number];
export type Problem = S["Problem"];
export type ServerState = S["Server"];
export type Proof = S["ProofIn"];
export type ProofKind = S["ProofKind"];
export type ProviderTest = S["OidcProviderTest"];
export type Role = S["Role"];
export type Storage = S["StorageOut"];
export type Scan = S["Scan"];
export type ScanIn = S["ScanIn"];
export type ScanPlan = S["ScanPlan"];
export type Service = S["Service"];
export type Session = S["Session"];
export type Settings = S["Settings"];
export type Severity = S["Severity"];
export type Tag = S["Tag"];
export type TagRef = S["TagRef"];
export type Token = S["Token"];
export type TotpEnrolment = S["TotpEnrolment"];
export type UnknownProxy = S["UnknownProxy"];
export type UnreadableProxy = S["UnreadableProxy"];
export type User = S["User"];
export type Job = S["Job"];
export type PeriodicWork = S["PeriodicWork"];
export type Vault = S["Vault"];
export type VaultKey = S["VaultKey"];
export type View = S["View"];
export type ViewIn = S["ViewIn"];
export type ViewList = S["ViewList"];
export type Verification = S["Verification"];
export type Webhook = S["Webhook"];
export type WebhookIn = S["WebhookIn"];

/** Every list answers one page; `total` stands on the first page only. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
  total?: number | null;
}
export type FindingGrouping = S["FindingGrouping"];
export type ReviewDone = S["FindingsDone"];
