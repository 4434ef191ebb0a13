/** What a card says of a group, in words: how many nodes, what is wrong, and what most of them are. */
import { roleName } from "#/domain/asset";
import { roleWord } from "#/domain/icons";
import type { useTranslation } from "#/i18n";
import type { Group } from "./group";

type Translate = ReturnType<typeof useTranslation>["t"];

const ROLES_SAID = 3;

export function groupLines({ members, counts, worst }: Group, t: Translate): string[] {
  const bad = worst === "down" || worst === "degraded" ? worst : "fine";
  const first = t(`map.summary.${bad}`, { count: members.length, bad: counts[worst] });
  const kinds = new Map<string, number>();
  for (const { role, kind } of members) {
    const word = role ? roleName(roleWord(role)) : t(`kind.${kind}`);
    kinds.set(word, (kinds.get(word) ?? 0) + 1);
  }
  const sorted = [...kinds].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const said = sorted.slice(0, ROLES_SAID).map(([word, count]) => `${word} ${count}`);
  if (sorted.length > ROLES_SAID) said.push("…");
  return [first, said.join(", ")];
}
