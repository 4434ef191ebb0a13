/**
 * What an entry's details say, for reading. Updates hold before and after in two forms: `{field: {from, to}}`, or
 * `{from: {field, …}, to: {field, …}}`; whatever else stands there is a plain fact.
 */
export interface Change {
  field: string;
  before: unknown;
  after: unknown;
}
export interface Reading {
  changes: Change[];
  facts: { field: string; value: unknown }[];
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
const isPair = (value: unknown): value is { from: unknown; to: unknown } =>
  isFields(value) && "from" in value && "to" in value && Object.keys(value).length === 2;
const same = (a: unknown, b: unknown) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

export function readDetail(detail: Fields): Reading {
  const reading: Reading = { changes: [], facts: [] };
  const { from, to, ...rest } = detail;
  if (isFields(from) && isFields(to)) {
    for (const field of new Set([...Object.keys(from), ...Object.keys(to)])) {
      if (same(from[field], to[field])) reading.facts.push({ field, value: to[field] });
      else reading.changes.push({ field, before: from[field], after: to[field] });
    }
  } else if ("from" in detail && "to" in detail) reading.changes.push({ field: "", before: from, after: to });
  else for (const key of ["from", "to"]) if (key in detail) rest[key] = detail[key];
  for (const [field, value] of Object.entries(rest)) {
    if (isPair(value)) reading.changes.push({ field, before: value.from, after: value.to });
    else reading.facts.push({ field, value });
  }
  return reading;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-/;
/** A value that only machines read. The whole record has it. */
export const isId = (value: unknown): boolean => typeof value === "string" && UUID.test(value);

/** What of a reading people read: no ids, and no fact that is empty. */
export function forPeople({ changes, facts }: Reading): Reading {
  return {
    changes: changes.filter(({ before, after }) => !isId(before) && !isId(after)),
    facts: facts.filter(({ value }) => valueText(value) !== undefined && !isId(value)),
  };
}

/** "instance_name" → "Instance name". */
export function fieldName(field: string): string {
  const words = field.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A value in words; `undefined` for nothing at all. */
export function valueText(value: unknown): string | undefined {
  if (value === null || value === undefined || value === "") return undefined;
  if (typeof value === "string") return value;
  if (Array.isArray(value)) {
    const plain = value.every((one) => typeof one !== "object" || one === null);
    return value.length === 0 ? undefined : plain ? value.join(", ") : JSON.stringify(value);
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
