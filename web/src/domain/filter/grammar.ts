/**
 * The one filter language, for tables, the map and the palette: `kind:nas tag:"living room" seen:<7d backup`.
 *
 * What the screen shows is what one types ("Access point"), in any case; the API's own word (`access_point`) is the same.
 * A key that nobody knows, or a value that cannot be, blocks the filter: then nothing may be shown, because everything would be
 * a lie. To add a key: a line in `filterKeys`, in `readers`, and for the map in `matcher`.
 */
import type { AssetKind, AssetStatus } from "#/api/schema";

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
   * `key`: no such key. `value`: the value cannot be. `twice`: the key is there twice. `doubt`: nobody here knows the value, but
   * the server may. `open`: the value is still to be typed. `port`, `seen`: no port, no time. `not`: a minus sign in front of a key.
   */
  type: "key" | "value" | "port" | "seen" | "twice" | "not" | "doubt" | "open";
  key: string;
  value: string;
  /** What could stand there. */
  offers: readonly string[];
}

export interface Parsed {
  filter: Filter;
  problems: Problem[];
  /** The filter cannot be carried out; show nothing. */
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

/** A kind and a role share a column, so either key takes the other's words. */
function kindOrRole(value: string, words: Vocabulary, kindFirst: boolean): Read {
  const kind = find(words.kinds, value);
  const role = find(words.roles, value);
  if (kind && (kindFirst || !role)) return { set: { kind } };
  if (role) return { set: { role } };
  // Roles are free words: the server knows those that this page does not.
  return {
    set: { role: value },
    doubt: kindFirst ? [...labels(words.kinds), ...labels(words.roles)] : labels(words.roles),
  };
}

const readers: Record<FilterKey, (value: string, words: Vocabulary, now: number) => Read> = {
  kind: (value, words) => kindOrRole(value, words, true),
  role: (value, words) => kindOrRole(value, words, false),
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
  if (key === "kind") return [...labels(words.kinds), ...labels(words.roles)];
  if (key === "role") return labels(words.roles);
  if (key === "status") return labels(words.statuses);
  if (key === "tag") return words.tags ?? [];
  if (key === "network") return words.networks?.map((one) => one.name) ?? [];
  return key === "seen" ? seenOffers : key === "port" ? portOffers : [];
}

/** An IPv6 or a MAC address, or a link: a word with colons and no key. */
const isWord = (token: string): boolean =>
  /^[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(token) || /^https?:\/\//i.test(token);

/** Words are split at spaces; quotes keep them together, also while the closing one is missing. */
export function parseFilter(
  text: string,
  words: Vocabulary,
  { keys = filterKeys, now = Date.now() }: { keys?: readonly FilterKey[]; now?: number } = {},
): Parsed {
  const filter: Filter = {};
  const problems: Problem[] = [];
  const plainWords: string[] = [];
  const used = new Set<string>();
  for (const [token, name, keyQuoted, keyPlain, quoted] of text.matchAll(
    /(-?[a-z_]+):(?:"([^"]*)"?|([^\s"]*))|"([^"]*)"?|\S+/gi,
  )) {
    const value = (keyQuoted ?? keyPlain ?? "").trim();
    if (name === undefined || isWord(token)) {
      const word = (quoted ?? token).trim();
      if (word) plainWords.push(word);
      continue;
    }
    const key = keys.find((known) => known === name.toLowerCase());
    if (name.startsWith("-")) {
      problems.push({ type: "not", key: name, value, offers: [] });
    } else if (!key) {
      problems.push({ type: "key", key: name, value, offers: keys.map((known) => `${known}:`) });
    } else if (!value) {
      problems.push({ type: "open", key, value, offers: offersOf(key, words) });
    } else if (used.has(key)) {
      problems.push({ type: "twice", key, value, offers: [] });
    } else {
      used.add(key);
      const read = readers[key](value, words, now);
      if ("offers" in read) {
        const type = key === "port" || key === "seen" ? key : "value";
        problems.push({ type, key, value, offers: read.offers });
      } else {
        Object.assign(filter, read.set);
        if (read.doubt) problems.push({ type: "doubt", key, value, offers: read.doubt });
      }
    }
  }
  if (plainWords.length > 0) filter.q = plainWords.join(" ");
  const blocked = problems.some(({ type }) => type !== "doubt" && type !== "open");
  return { filter, problems, blocked };
}

/** One word of the language, with quotes where it needs them: for a link or a button that filters. */
export function filterWord(key: FilterKey, value: string): string {
  return /[\s"]/.test(value) ? `${key}:"${value.replaceAll('"', "")}"` : `${key}:${value}`;
}
