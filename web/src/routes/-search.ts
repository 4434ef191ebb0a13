/** What pages read from their address. */

/** A text that is there, or nothing. */
export const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined;

/** One of the sorts that the server knows for this list, either way round; the default is not written. */
export function sortOf(value: unknown, names: readonly string[], usual: string): string | undefined {
  const known = names.flatMap((name) => [name, `-${name}`]).find((sort) => sort === value);
  return known === usual ? undefined : known;
}
