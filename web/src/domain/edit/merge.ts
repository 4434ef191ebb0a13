/** What a form typed, and what somebody else saved meanwhile, put together field by field. */
import { type FieldValues, get } from "react-hook-form";

/** How one field of a form is told to a person. */
type Told<T, V> =
  /** A field of its own. */
  | { label: string; text?: (values: V) => string }
  /** It belongs to another field: both are taken together. */
  | { with: keyof V & string }
  /** An object of texts, each of them a field. */
  | { parts: readonly Part[] }
  /** A secret: the server never gives it back. `changedAt` says when it was last replaced. */
  | { label: string; secret: true; changedAt?: (of: T) => unknown };

export interface Part {
  name: string;
  label: string;
  text?: (value: string) => string;
}

/** Every field of a form: the compiler finds one that is missing. */
export type Fields<T, V> = { [K in keyof V]-?: Told<T, V> };

/** Fields that are kept or replaced together, under one label. */
export interface Group<T, V> {
  paths: string[];
  label: string;
  /** Nothing for a secret, which is not shown. */
  text?: (values: V) => string;
  changedAt?: (of: T) => unknown;
}

export function groupsOf<T, V extends FieldValues>(fields: Fields<T, V>): Group<T, V>[] {
  const all = Object.entries(fields) as [string, Told<T, V>][];
  const joined = (to: string) =>
    all.flatMap(([key, told]) => ("with" in told && told.with === to ? key : []));
  return all.flatMap(([key, told]): Group<T, V>[] => {
    if ("with" in told) return [];
    if ("secret" in told) return [{ paths: [key], label: told.label, changedAt: told.changedAt }];
    if ("parts" in told)
      return told.parts.map(({ name, label, text = String }) => {
        const path = `${key}.${name}`;
        return { paths: [path], label, text: (values) => text(get(values, path) ?? "") };
      });
    return [
      {
        paths: [key, ...joined(key)],
        label: told.label,
        text: told.text ?? ((values) => String(get(values, key) ?? "")),
      },
    ];
  });
}

/** A list is the same in whatever order. */
function plain(value: unknown): string {
  if (Array.isArray(value)) return JSON.stringify(value.map(plain).sort());
  return JSON.stringify(value ?? "");
}

export const same = (paths: readonly string[], one: object, other: object) =>
  paths.every((path) => plain(get(one, path)) === plain(get(other, path)));

interface Side<T, V> {
  of: T;
  values: V;
}

/**
 * `base` is what the form began with. A field that was not touched takes the other version. One that was touched keeps
 * what was typed; it is a conflict where the other version changed it too, to something else.
 */
export function merge<T, V extends FieldValues>(
  groups: readonly Group<T, V>[],
  base: Side<T, V>,
  mine: V,
  theirs: Side<T, V>,
): { kept: string[]; conflicts: Group<T, V>[] } {
  const kept: string[] = [];
  const conflicts: Group<T, V>[] = [];
  for (const group of groups) {
    const { paths, text, changedAt } = group;
    if (same(paths, mine, base.values)) continue;
    if (text && same(paths, mine, theirs.values)) continue;
    kept.push(...paths);
    const changed = text
      ? !same(paths, base.values, theirs.values)
      : changedAt !== undefined && changedAt(base.of) !== changedAt(theirs.of);
    if (changed) conflicts.push(group);
  }
  return { kept, conflicts };
}
