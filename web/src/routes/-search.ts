/** What pages read from their address. */

import { NOTHING } from "#/domain/nothing";

/** A text that is there, or nothing. The router reads `?q=12` as a number. */
export const text = (value: unknown): string | undefined => {
  if (typeof value === "string") return value || undefined;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
};

/** One of a few words, or nothing. */
export const oneOf = <Word extends string>(value: unknown, words: readonly Word[]): Word | undefined =>
  words.find((word) => word === value);

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The id of a thing, or of nothing where the address has what no id can be. */
export const id = (value: unknown): string | undefined => {
  const given = text(value);
  return given === undefined || ID.test(given) ? given : NOTHING;
};

/** One of the sorts that the server knows for this list, either way round; the default is not written. */
export function sortOf(value: unknown, names: readonly string[], usual: string): string | undefined {
  const known = names.flatMap((name) => [name, `-${name}`]).find((sort) => sort === value);
  return known === usual ? undefined : known;
}
