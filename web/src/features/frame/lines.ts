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

/** Whole words, and their parts: “two-factor” is found by “factor” too, and a range by its address. */
function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s“”"]+/)
    .flatMap((word) => [word, ...word.split(/[-:/._]+/)]);
}

const typedWords = (text: string): string[] => text.toLowerCase().split(/\s+/).filter(Boolean);

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

/** The lines that `typed` finds, the nearest first; among equals they keep their order. */
export function found(lines: readonly Line[], typed: string): Line[] {
  return lines
    .flatMap((line) => {
      const near = rank(line, typed);
      return near === null ? [] : [{ line, near }];
    })
    .sort((a, b) => a.near - b.near)
    .map(({ line }) => line);
}
