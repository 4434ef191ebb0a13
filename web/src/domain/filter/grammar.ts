/**
 * The one filter language, for tables, the map and the palette: `kind:nas tag:"living room" seen:<7d backup`.
 *
 * What the screen shows is what one types ("Access point"), in any case; the API's own word (`access_point`) is the same.
 * A key that nobody knows, a value that cannot be, or a word that is not complete blocks the filter: then nothing may be shown,
 * because everything would be a lie. To add a key: a line in `filterKeys`, in `readers`, and for the map in `matcher`.
 */
import type { AssetKind, AssetStatus } from "#/api/schema";
import { isIp } from "#/domain/address";
import { nearestFirst } from "./nearest";

const filterKeys = ["kind", "role", "tag", "status", "vendor", "network", "port", "seen"] as const;
export type FilterKey = (typeof filterKeys)[number];

/** The API's field filters. */
export interface Filter {
  kind?: AssetKind;
  role?: string;
  tag?: string;
  status?: AssetStatus;
  vendor?: string;
  network?: string;
  port?: number;
  seen_after?: string;
  seen_before?: string;
  q?: string;
}

interface Choice<Word extends string = string> {
  word: Word;
  label: string;
}

/** What can be named, as the screen shows it. */
export interface Vocabulary {
  kinds: readonly Choice<AssetKind>[];
  statuses: readonly Choice<AssetStatus>[];
  roles: readonly Choice[];
  /** Undefined until they are read. */
  tags?: readonly string[];
  networks?: readonly { id: string; name: string; cidr: string }[];
}

export interface Problem {
  /**
   * `key`: no such key. `colon`: a colon without a key. `colons`: more than one behind a key. `value`: the value cannot be. `port`,
   * `seen`: no port, no time. `twice`: the key is there twice. `not`: a minus sign in front of a key. `doubt`: nobody here knows the
   * value, but the server may. `open`: no value yet. `begun`: the beginning of a value. `quote`: the closing quotation mark is missing.
   * `parts`: a word with colons that may be part of an address.
   */
  type:
    | "key"
    | "colon"
    | "colons"
    | "value"
    | "port"
    | "seen"
    | "twice"
    | "not"
    | "doubt"
    | "open"
    | "begun"
    | "quote"
    | "parts";
  key: string;
  /** The same, where it is one of the language. */
  of?: FilterKey;
  value: string;
  /** What could stand there, the nearest first where it may be mistyped. */
  offers: readonly string[];
  /** The word that is wrong, as it was typed, and where it begins. */
  token: string;
  at: number;
  /** The server may still know it, so it is no problem where something was found. */
  doubt?: boolean;
}

export interface Parsed {
  filter: Filter;
  problems: Problem[];
  /** The filter cannot be carried out, or not yet; show nothing. */
  blocked: boolean;
}

/** As words are compared: "Access point" is `access-point` is `access_point`. */
export const plain = (text: string): string => text.trim().toLowerCase().replaceAll(/[-\s]/g, "_");

function find<Word extends string>(choices: readonly Choice<Word>[], value: string): Word | undefined {
  const wanted = plain(value);
  return choices.find(({ word, label }) => plain(word) === wanted || plain(label) === wanted)?.word;
}

const units: Record<string, number> = { m: 60, h: 3_600, d: 86_400, w: 604_800 };
const portOffers = ["22", "80", "443"];
const seenOffers = ["<1h", "<7d", ">7d", ">4w"];

type Read = { set: Filter; doubt?: readonly string[] } | { offers: readonly string[] };

const labels = (choices: readonly Choice[]): string[] => choices.map((choice) => choice.label);

/** What people see as the kind is the role, or else the API's kind: `kind:` and `role:` take the words of both. */
function kindOrRole(value: string, words: Vocabulary): Read {
  const kind = find(words.kinds, value);
  if (kind) return { set: { kind } };
  const role = find(words.roles, value);
  // Roles are free words: the server knows those that this page does not.
  return role ? { set: { role } } : { set: { role: value }, doubt: kindsOf(words) };
}
const kindsOf = ({ kinds, roles }: Vocabulary): string[] =>
  [...labels(kinds), ...labels(roles)].sort((a, b) => a.localeCompare(b));

const readers: Record<FilterKey, (value: string, words: Vocabulary, now: number) => Read> = {
  kind: kindOrRole,
  role: kindOrRole,
  status(value, words) {
    const status = find(words.statuses, value);
    return status ? { set: { status } } : { offers: labels(words.statuses) };
  },
  tag(value, { tags }) {
    const known = !tags || tags.some((tag) => tag.toLowerCase() === value.toLowerCase());
    return known ? { set: { tag: value } } : { set: { tag: value }, doubt: tags };
  },
  vendor: (value) => ({ set: { vendor: value } }),
  network(value, { networks }) {
    const wanted = value.toLowerCase();
    const found = networks?.find((one) => one.name.toLowerCase() === wanted || one.cidr === wanted);
    const known = !networks || found;
    const set = { network: found?.id ?? value };
    return known ? { set } : { set, doubt: networks.map((one) => one.name) };
  },
  port(value) {
    const port = /^\d{1,5}$/.test(value) ? Number(value) : 0;
    return port >= 1 && port <= 65_535 ? { set: { port } } : { offers: portOffers };
  },
  seen(value, _words, now) {
    const [, sign = "<", count = "", unit = ""] = /^([<>]?)(\d{1,5})([mhdw])$/i.exec(value) ?? [];
    const seconds = Number(count) * (units[unit.toLowerCase()] ?? 0);
    if (!seconds) return { offers: seenOffers };
    // Whole minutes, so that the same words ask the server for the same page.
    const at = new Date(Math.floor(now / 60_000) * 60_000 - seconds * 1_000).toISOString();
    return { set: sign === ">" ? { seen_before: at } : { seen_after: at } };
  },
};

/** What could stand behind a key. */
function offersOf(key: FilterKey, words: Vocabulary): readonly string[] {
  if (key === "kind" || key === "role") return kindsOf(words);
  if (key === "status") return labels(words.statuses);
  if (key === "tag") return words.tags ?? [];
  if (key === "network") return words.networks?.map((one) => one.name) ?? [];
  return key === "seen" ? seenOffers : key === "port" ? portOffers : [];
}

/** An IPv6 or a MAC address, or a link: a word with colons and no key. */
const isWord = (token: string): boolean =>
  /^(?=.*[0-9a-f])[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(token) || /^https?:\/\//i.test(token);

const isPartOfMac = (word: string): boolean => /^([0-9a-f]{2}:)+[0-9a-f]{0,2}$/i.test(word);

/** Problems with a value, of which only the beginning may be there. */
const narrowed: ReadonlySet<Problem["type"]> = new Set(["value", "seen", "doubt", "quote"]);
/** What was typed may be one of the offers with a wrong letter. */
const mistyped: ReadonlySet<Problem["type"]> = new Set(["value", "doubt", "key"]);
const begins = (offer: string, value: string): boolean => plain(offer).startsWith(plain(value));

/** Words are split at spaces; quotes keep them together. */
export function parseFilter(
  text: string,
  words: Vocabulary,
  { keys = filterKeys, now = Date.now() }: { keys?: readonly FilterKey[]; now?: number } = {},
): Parsed {
  const filter: Filter = {};
  const problems: Problem[] = [];
  const plainWords: string[] = [];
  const used = new Set<string>();
  // `role:` asks the same as `kind:`, which is the word that the pages use.
  const allKeys = keys.filter((known) => known !== "role").map((known) => `${known}:`);
  for (const match of text.matchAll(/(-?[a-z_]+):(?:"([^"]*)"?|([^\s"]*))|"([^"]*)"?|\S+/gi)) {
    const [token, name, keyQuoted, keyPlain = "", quoted] = match;
    const value = (keyQuoted ?? keyPlain).trim();
    const key = keys.find((known) => known === name?.toLowerCase());
    const wrong = (type: Problem["type"], offers: readonly string[] = [], doubt?: boolean): void => {
      const meant = (of: Problem["type"]) => (of === "key" ? `${name}:` : value);
      const begun = value && narrowed.has(type) ? offers.filter((offer) => begins(offer, value)) : [];
      problems.push({
        // What begins as something known is still being typed.
        type: begun.length > 0 && type !== "quote" ? "begun" : type,
        key: key ?? name ?? "",
        ...(key ? { of: key } : {}),
        value,
        offers:
          begun.length > 0
            ? begun
            : value && mistyped.has(type)
              ? nearestFirst(offers, meant(type), plain)
              : offers,
        token,
        at: match.index,
        ...(doubt ? { doubt } : {}),
      });
    };
    if ((keyQuoted ?? quoted) !== undefined && /^[^"]*"[^"]*$/.test(token)) {
      wrong("quote", key ? offersOf(key, words) : []);
    } else if (name === undefined || isWord(token)) {
      const word = (quoted ?? token).trim();
      if (quoted === undefined && word.startsWith(":") && !isWord(word)) wrong("colon", allKeys);
      else if (word) plainWords.push(word);
      if (name !== undefined && !isIp(word) && !isPartOfMac(word) && !word.includes("/"))
        wrong("parts", [], true);
    } else if (name.startsWith("-")) {
      wrong("not");
    } else if (!key) {
      wrong("key", allKeys);
    } else if (keyPlain.startsWith(":")) {
      const meant = value.replace(/^:+/, "");
      wrong("colons", meant ? [meant] : offersOf(key, words));
    } else if (!value) {
      wrong("open", offersOf(key, words));
    } else if (used.has(key)) {
      wrong("twice");
    } else {
      used.add(key);
      const read = readers[key](value, words, now);
      if ("offers" in read) {
        wrong(key === "port" || key === "seen" ? key : "value", read.offers);
      } else {
        Object.assign(filter, read.set);
        if (read.doubt) wrong("doubt", read.doubt, true);
      }
    }
  }
  if (plainWords.length > 0) filter.q = plainWords.join(" ");
  return { filter, problems, blocked: problems.some(({ doubt }) => !doubt) };
}

/** One word of the language, with quotes where it needs them: for a link or a button that filters. */
export function filterWord(key: FilterKey, value: string): string {
  return /[\s"]/.test(value) ? `${key}:"${value.replaceAll('"', "")}"` : `${key}:${value}`;
}
