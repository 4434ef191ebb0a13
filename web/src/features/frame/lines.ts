/** What a text typed into the palette finds among its own lines, and how near it is. */
import type { ComponentType } from "react";

/** One line of the palette that is no asset. */
export interface Line {
  id: string;
  label: string;
  /** Where its button is, or the range of a network. */
  place?: string;
  /** Other words that people type for it. */
  also?: string;
  icon: ComponentType<{ className?: string }>;
  run: () => void;
}

const typedWords = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

/** Whole words, and their parts between any signs: “two-factor” is found by “factor” too, and “<b>nas</b>” by “nas”. */
const wordsOf = (text: string): string[] =>
  typedWords(text).flatMap((word) => [word, ...word.split(/[^\p{L}\p{N}]+/u)]);

/** Without what people say before the name of a thing: “my printer” is “printer”. */
export function withoutFiller(text: string, filler: string): string {
  const words = text.trim();
  const [, first = "", rest] = /^(\S+)\s+(.+)$/.exec(words) ?? [];
  return rest && typedWords(filler).includes(first.toLowerCase()) ? withoutFiller(rest, filler) : words;
}

/** Whether one of the typed words is one of `text`, such as “guide” in “user guide”. */
export function hasWordOf(typed: string, text: string): boolean {
  const words = typedWords(text);
  return typedWords(typed).some((one) => words.includes(one));
}

/** Whether each typed word begins a word of `text`. */
function begins(typed: string, text: string): boolean {
  const words = wordsOf(text);
  return typedWords(typed).every((one) => words.some((word) => word.startsWith(one)));
}

/** 0 is called exactly so, 1 begins so, 2 has words that begin so, 3 is found by other words; null is not found. */
function rank({ label, place = "", also = "" }: Line, typed: string): number | null {
  const [name, wanted] = [label.toLowerCase(), typed.trim().toLowerCase()];
  if (name === wanted || place.toLowerCase() === wanted) return 0;
  if (name.startsWith(wanted)) return 1;
  if (begins(wanted, label)) return 2;
  return begins(wanted, `${label} ${place} ${also}`) ? 3 : null;
}

export interface Found {
  lines: Line[];
  /** How near the first of them is. */
  near: number;
}

/** The lines that `typed` finds, the nearest first; among equals they keep their order. */
export function found(all: readonly Line[], typed: string): Found {
  const lines = all
    .flatMap((line) => {
      const near = rank(line, typed);
      return near === null ? [] : [{ line, near }];
    })
    .sort((a, b) => a.near - b.near);
  return { lines: lines.map(({ line }) => line), near: lines[0]?.near ?? Number.POSITIVE_INFINITY };
}
