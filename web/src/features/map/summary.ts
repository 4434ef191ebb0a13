/** What a card says of a group, in words: how many nodes, what is wrong, and what most of them are. */
import { roleName } from "#/domain/asset";
import { roleWord } from "#/domain/icons";
import type { useTranslation } from "#/i18n";
import { counted } from "#/i18n";
import type { Group } from "./group";

type Translate = ReturnType<typeof useTranslation>["t"];

const ROLES_SAID = 3;

export function groupLines({ members, counts, worst }: Group, t: Translate): string[] {
  // Of those that nobody saw the card tells also where most are up.
  const said = worst === "down" || worst === "degraded" ? worst : counts.not_seen > 0 ? "not_seen" : "fine";
  const bad = said === "fine" ? 0 : counts[said];
  const first = t(`map.summary.${said}`, { count: members.length, bad });
  const kinds = new Map<string, number>();
  for (const { role, kind } of members) {
    const word = role ? roleName(roleWord(role)) : t(`kind.${kind}`);
    kinds.set(word, (kinds.get(word) ?? 0) + 1);
  }
  const sorted = [...kinds].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const words = sorted.slice(0, ROLES_SAID).map(([word, count]) => `${word} ${counted(count)}`);
  if (sorted.length > ROLES_SAID) words.push("…");
  return [first, words.join(", ")];
}
