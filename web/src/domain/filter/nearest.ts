/** What was probably meant: words by how little they differ from what was typed. */

/** Letters that are to be added, left out, changed or swapped with their neighbor. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Those that one wrong letter in three makes of `typed` come first, the nearest of all in front; the others keep their order. */
export function nearestFirst(
  words: readonly string[],
  typed: string,
  plain: (text: string) => string,
): string[] {
  const wanted = plain(typed);
  const far = (word: string) => {
    const away = distance(plain(word), wanted);
    return away <= Math.max(1, Math.floor(wanted.length / 3)) ? away : Number.POSITIVE_INFINITY;
  };
  return words
    .map((word) => ({ word, away: far(word) }))
    .sort((a, b) => (a.away === b.away ? 0 : a.away - b.away))
    .map(({ word }) => word);
}
