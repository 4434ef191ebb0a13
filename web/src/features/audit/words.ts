/** The machine's words in the details of an entry, in the words of the page. A test compares them with the API's own lists. */
import { roleName } from "#/domain/asset";
import type { useTranslation } from "#/i18n";
import { fieldName, valueText } from "./diff";

type T = ReturnType<typeof useTranslation>["t"];

/** Fields whose values are words of the API. In any other field a person may have typed the same word. */
const OF_THE_API = new Set([
  "by",
  "change",
  "default_role",
  "event",
  "events",
  "evidence",
  "factor",
  "format",
  "group_by",
  "kind",
  "list",
  "method",
  "min_severity",
  "phase",
  "pin",
  "probes",
  "proof",
  "protocol",
  "result",
  "role",
  "scheme",
  "scopes",
  "severity",
  "source",
  "state",
  "status",
  "status_seen",
  "status_set",
  "verification",
]);

export const wordKey = (word: string) => word.replaceAll(/[.:\s-]/g, "_");

function written(field: string, word: string, t: T): string {
  // Roles of assets are free words.
  const otherwise = field === "role" ? roleName(word) : word;
  return t(`audit.word.${wordKey(word)}`, { defaultValue: otherwise });
}

/** A value of a field in words; nothing for nothing at all. */
export function valueWords(field: string, value: unknown, t: T): string | undefined {
  if (typeof value === "boolean") return t(value ? "audit.yes" : "audit.no");
  if (!OF_THE_API.has(field)) return valueText(value);
  if (typeof value === "string" && value !== "") return written(field, value, t);
  if (Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === "string"))
    return value.map((one) => written(field, one, t)).join(", ");
  return valueText(value);
}

/** "min_severity" → "Lowest severity". */
export function fieldWords(field: string, t: T): string {
  return fieldName(t(`audit.fields.${field}`, { defaultValue: field }));
}

/** The same in the middle of a line; abbreviations stay as they are. */
export function fieldInLine(field: string, t: T): string {
  const name = fieldWords(field, t);
  return /^[A-Z][a-z]/.test(name) ? name.charAt(0).toLowerCase() + name.slice(1) : name;
}
