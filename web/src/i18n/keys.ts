/**
 * The keys of all words as a type, so that a key without words does not compile. A key that is built at run time must be built
 * from a union (`kind.${AssetKind}`): when the server gets a new kind, the generated types grow and `tsc` names each sentence that
 * is missing. A plain `string` in a key does not compile. To add a file of words: a line in `Words`.
 */
import type account from "./en/account.json";
import type audit from "./en/audit.json";
import type channels from "./en/channels.json";
import type credentials from "./en/credentials.json";
import type discovery from "./en/discovery.json";
import type first from "./en/first.json";
import type frame from "./en/frame.json";
import type hooks from "./en/hooks.json";
import type inventory from "./en/inventory.json";
import type kinds from "./en/kinds.json";
import type map from "./en/map.json";
import type networks from "./en/networks.json";
import type notifications from "./en/notifications.json";
import type operations from "./en/operations.json";
import type password from "./en/password.json";
import type providers from "./en/providers.json";
import type session from "./en/session.json";
import type settings from "./en/settings.json";
import type users from "./en/users.json";
import type vault from "./en/vault.json";
import type webhooks from "./en/webhooks.json";
import type welcome from "./en/welcome.json";

type Words = typeof account &
  typeof audit &
  typeof channels &
  typeof credentials &
  typeof discovery &
  typeof first &
  typeof frame &
  typeof hooks &
  typeof inventory &
  typeof kinds &
  typeof map &
  typeof networks &
  typeof notifications &
  typeof operations &
  typeof password &
  typeof providers &
  typeof session &
  typeof settings &
  typeof users &
  typeof vault &
  typeof webhooks &
  typeof welcome;

type Paths<T> = {
  [K in keyof T & string]: T[K] extends string ? K : `${K}.${Paths<T[K]>}`;
}[keyof T & string];

type Path = Paths<Words>;
/** Two forms of one text: `key_one` and `key_other` are asked for as `key`, with a count. */
export type CountedKey = Path extends infer P ? (P extends `${infer Stem}_one` ? Stem : never) : never;
/** A text that needs no count. */
export type Key = Exclude<Path, `${CountedKey}_one` | `${CountedKey}_other`>;
