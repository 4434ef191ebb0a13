/** What a line of the log says beside its sentence: what became what, which things, or the facts. Whole in the panel. */
import type { AuditEntry } from "#/api/schema";
import type { useTranslation } from "#/i18n";
import { forPeople, isId, readDetail } from "./diff";
import { fieldInLine, valueWords } from "./words";

type T = ReturnType<typeof useTranslation>["t"];

/** As much as a line can show. */
const NAMES = 12;
const FACTS = 4;

/** How many, and where a test went: the sentence counts and names the receiver. */
const IN_THE_SENTENCE = new Set(["count", "origin", "placed", "updated", "learned"]);

export function details(entries: readonly AuditEntry[], t: T): string {
  const [entry] = entries;
  if (!entry) return "";
  if (entries.length > 1) {
    const names = new Set(entries.flatMap((one) => one.entity_name ?? []));
    // A name that all of them have is in the sentence.
    return names.size > 1 ? listed([...names]) : "";
  }
  const { changes, facts: all } = forPeople(readDetail(entry.detail));
  const facts = all.filter(({ field }) => !IN_THE_SENTENCE.has(field));
  if (changes.length > 0)
    return changes
      .map(({ field, before, after }) => {
        const step = `${valueWords(field, before, t) ?? "–"} → ${valueWords(field, after, t) ?? "–"}`;
        return changes.length > 1 && field ? `${fieldInLine(field, t)}: ${step}` : step;
      })
      .join(" · ");
  const things = facts.flatMap(({ value }) => (Array.isArray(value) ? value.flatMap(nameOf) : []));
  const named = facts.find(({ field }) => field === "names")?.value;
  if (Array.isArray(named)) return listed(named.filter((name) => typeof name === "string"));
  // One alone is in the sentence.
  if (things.length > 0) return things.length > 1 ? listed(things) : "";
  return facts
    .flatMap(({ field, value }) => {
      const text = isPlain(field, value) ? valueWords(field, value, t) : undefined;
      return text && text !== entry.entity_name ? [`${fieldInLine(field, t)}: ${text}`] : [];
    })
    .slice(0, FACTS)
    .join(" · ");
}

function listed(names: readonly string[]): string {
  return names.slice(0, NAMES).join(", ") + (names.length > NAMES ? ", …" : "");
}

/** The findings of a review have titles. */
function nameOf(value: unknown): string[] {
  const { title } = (typeof value === "object" && value !== null ? value : {}) as { title?: unknown };
  return typeof title === "string" ? [title] : [];
}

/** Neither a yes or no, nor a zero, nor what only machines read. */
function isPlain(field: string, value: unknown): boolean {
  if (/(^|_)(id|ids|sha256)$/.test(field)) return false;
  if (Array.isArray(value)) return value.every((one) => typeof one === "string");
  return (typeof value === "string" && !isId(value)) || (typeof value === "number" && value !== 0);
}
