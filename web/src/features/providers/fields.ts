/** A provider as a form holds it, and as the server takes it. */
import type { OidcProvider, OidcProviderIn, Role } from "#/api/schema";

export interface ProviderForm {
  slug: string;
  name: string;
  issuer: string;
  client_id: string;
  client_secret: string;
  /** Empty: an id and a secret of its own. */
  credential_id: string;
  scopes: string;
  groups_claim: string;
  role_groups: { group: string; role: Role }[];
  default_role: Role | "";
  create_users: boolean;
  enabled: boolean;
  certificate_sha256: string;
}

export function toForm(provider?: OidcProvider): ProviderForm {
  return {
    slug: provider?.slug ?? "",
    name: provider?.name ?? "",
    issuer: provider?.issuer ?? "",
    client_id: provider?.client_id ?? "",
    // Write-only: what is kept is never shown.
    client_secret: "",
    credential_id: provider?.credential_id ?? "",
    scopes: (provider?.scopes ?? ["openid", "profile", "email"]).join(" "),
    groups_claim: provider?.groups_claim ?? "groups",
    role_groups: provider?.role_groups.map(({ group, role }) => ({ group, role })) ?? [],
    default_role: provider?.default_role ?? "",
    create_users: provider?.create_users ?? false,
    enabled: provider?.enabled ?? true,
    certificate_sha256: provider?.certificate_sha256 ?? "",
  };
}

/** Rows without a group say nothing and are left out; an empty secret leaves the kept one as it is. */
export function toBody(form: ProviderForm): OidcProviderIn {
  const { client_id, client_secret, credential_id, ...rest } = form;
  return {
    ...rest,
    ...(credential_id
      ? { credential_id }
      : {
          credential_id: null,
          client_id: client_id.trim(),
          ...(client_secret ? { client_secret } : {}),
        }),
    slug: form.slug.trim(),
    name: form.name.trim(),
    issuer: form.issuer.trim(),
    scopes: form.scopes.split(/[\s,]+/).filter(Boolean),
    groups_claim: form.groups_claim.trim(),
    role_groups: form.role_groups
      .map(({ group, role }) => ({ group: group.trim(), role }))
      .filter(({ group }) => group),
    default_role: form.default_role || null,
    certificate_sha256: form.certificate_sha256.trim() || null,
  };
}

const SLUG_MOST = 32;

/** "My Authentik!" → "my-authentik". */
export function slugOf(name: string): string {
  return name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, SLUG_MOST)
    .replace(/^-+|-+$/g, "");
}
