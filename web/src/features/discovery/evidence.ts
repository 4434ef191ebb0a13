/** What a scan saw, in the words of the page. The collector has words of its own for where and what; a test compares its lists. */
import type { Finding } from "#/api/schema";
import type { useTranslation } from "#/i18n";

type T = ReturnType<typeof useTranslation>["t"];

const key = (word: string) => word.replaceAll(/[\s-]/g, "_");

/** A word of a newer collector is at least written as a word. */
function written(word: string): string {
  const text = word.replaceAll(/[_-]/g, " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const sourceText = (source: string, t: T) =>
  t(`sign.sources.${key(source)}`, { defaultValue: written(source) });
export const factText = (fact: string, t: T) => t(`sign.facts.${key(fact)}`, { defaultValue: written(fact) });

/** What was seen is shown as it came, but for the collector's own yes and no. */
export const seenText = ({ value }: Finding["evidence"][number], t: T) =>
  t(`sign.values.${key(value)}`, { defaultValue: value });
