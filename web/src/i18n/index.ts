/**
 * The words. `en/first.json` is what the first page needs; every other area brings its own file when its code is loaded:
 * the part that speaks says `addWords(words)`. A test reads the sources and fails for a word that would not be there yet.
 */
import first from "./en/first.json";
import type { CountedKey, Key } from "./keys";

export type { Key };

const LANGUAGE = "en";

type Tree = { [key: string]: string | Tree };
type Values = Record<string, string | number | null | undefined>;

const words: Tree = { ...first };

/** Each group stands in one file, so that adding it twice changes nothing. */
export function addWords(more: Tree): void {
  Object.assign(words, more);
}

const number = new Intl.NumberFormat(LANGUAGE);

/** A count in the language of the page, whatever the browser's own is: 1,058. */
export function counted(count: number): string;
export function counted(count: number | null | undefined): string | undefined;
export function counted(count: number | null | undefined): string | undefined {
  return count === null || count === undefined ? undefined : number.format(count);
}
const plural = new Intl.PluralRules(LANGUAGE);

function find(key: string): string | undefined {
  let at: string | Tree | undefined = words;
  for (const part of key.split(".")) at = typeof at === "object" ? at[part] : undefined;
  return typeof at === "string" ? at : undefined;
}

/** Whether a text is the key of another one: for messages that a schema carries. */
export function isKey(text: string): text is Key {
  return find(text) !== undefined;
}

interface Translate {
  (key: Key, values?: Values & { count?: never }): string;
  (key: Key | CountedKey, values: Values & { count: number }): string;
  /** For a word that other programs may make up: what is not known is shown as it is. */
  (key: string, values: Values & { defaultValue: string }): string;
}

/** The text of a key, with `{{name}}` filled in; `count` chooses between `key_one` and `key_other`, and reads 1,058. */
const t: Translate = (
  key: string,
  values: Values & { count?: number; defaultValue?: string } = {},
): string => {
  const { count, defaultValue } = values;
  const text =
    (count === undefined ? undefined : (find(`${key}_${plural.select(count)}`) ?? find(`${key}_other`))) ??
    find(key) ??
    defaultValue ??
    key;
  return text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) =>
    values[name] === undefined
      ? whole
      : name === "count"
        ? number.format(count ?? 0)
        : String(values[name] ?? ""),
  );
};

/** For code that is no part of a page. */
export const say = t;

const said = { t };

/** A hook, so that a change of the language can draw a page anew once there is a second one. */
export function useTranslation(): typeof said {
  return said;
}
