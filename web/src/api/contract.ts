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

export type Settings = S["Settings"] & { audit_retention_days: number | null };

export type Me = S["Me"] & { session_expires_at: string };

interface Coming {
  "/api/v1/auth/me": { get: Read<Me> };
  "/api/v1/settings": {
    get: Read<Settings>;
    patch: Write<Settings, Partial<S["SettingsPatch"]> & { audit_retention_days?: number | null }>;
  };
}

export type Paths = Omit<paths, keyof Coming> & Coming;
