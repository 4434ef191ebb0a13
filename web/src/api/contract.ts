/**
 * What the server is about to answer and docs/openapi.json does not say yet. Written by hand in the form of schema.gen.ts,
 * to be deleted when that file has it: then `client.ts` takes `paths` and `schema.ts` takes its names from there.
 */
import type { components, paths } from "./schema.gen";

type S = components["schemas"];

type Answer<T> = { headers: { [name: string]: unknown }; content: { "application/json": T } };
type Empty = { headers: { [name: string]: unknown }; content?: never };
type Call<Out, In = never, Path = never> = {
  parameters: {
    query?: never;
    header?: never;
    path: [Path] extends [never] ? undefined : Path;
    cookie?: never;
  };
  requestBody: [In] extends [never] ? undefined : { content: { "application/json": In } };
  responses: [Out] extends [never] ? { 204: Empty } : { 200: Answer<Out> };
};
type Loose<C> = C extends { parameters: infer P; requestBody: infer B; responses: infer R }
  ? (P extends { path: undefined } ? { parameters: Omit<P, "path"> & { path?: never } } : { parameters: P }) &
      (B extends undefined ? { requestBody?: never } : { requestBody: B }) & { responses: R }
  : never;
type Read<Out, Path = never> = Loose<Call<Out, never, Path>>;
type Write<Out, In = Record<string, never>, Path = never> = Loose<Call<Out, In, Path>>;

interface Id {
  id: string;
}
interface Slug {
  slug: string;
}

/** `pruned_through`: the log begins behind this entry, those before it were removed for their age. */
export type Verification = S["Verification"] & { pruned_through: number | null };
export type Settings = S["Settings"] & { audit_retention_days: number | null };
interface ProviderRef {
  slug: string;
  name: string;
}
type AuthMethods = S["Methods"] & { providers: ProviderRef[] };
export interface Identity {
  id: string;
  provider: ProviderRef;
  subject: string;
  email: string | null;
  linked_at: string;
  last_used_at: string | null;
}
interface RoleGroup {
  group: string;
  role: S["Role"];
}
interface ProviderFields {
  slug: string;
  name: string;
  issuer: string;
  client_id: string;
  scopes: string[];
  groups_claim: string;
  role_groups: RoleGroup[];
  default_role: S["Role"] | null;
  create_users: boolean;
  enabled: boolean;
  certificate_sha256: string | null;
}
export interface OidcProvider extends ProviderFields {
  id: string;
  has_client_secret: boolean;
  redirect_uri: string;
  version: number;
  created_at: string;
  updated_at: string;
}
export type OidcProviderIn = ProviderFields & { client_secret?: string };
export interface ProviderTest {
  ok: boolean;
  issuer: string | null;
  authorization_endpoint: string | null;
  reason: string | null;
}

interface Coming {
  "/api/v1/audit-log/verify": { get: Read<Verification> };
  "/api/v1/settings": {
    get: Read<Settings>;
    patch: Write<Settings, Partial<S["SettingsPatch"]> & { audit_retention_days?: number | null }>;
  };
  "/api/v1/auth/methods": { get: Read<AuthMethods> };
  "/api/v1/auth/identities": { get: Read<Identity[]> };
  "/api/v1/auth/identities/{id}": { delete: Read<S["Session"], Id> };
  "/api/v1/auth/oidc/{slug}/link": { post: Write<{ url: string }, Record<string, never>, Slug> };
  "/api/v1/oidc-providers": { get: Read<OidcProvider[]>; post: Write<OidcProvider, OidcProviderIn> };
  "/api/v1/oidc-providers/{id}": {
    get: Read<OidcProvider, Id>;
    patch: Write<OidcProvider, Partial<OidcProviderIn>, Id>;
    delete: Read<never, Id>;
  };
  "/api/v1/oidc-providers/{id}/test": { post: Write<ProviderTest, Record<string, never>, Id> };
}

export type Paths = Omit<paths, keyof Coming> & Coming;
