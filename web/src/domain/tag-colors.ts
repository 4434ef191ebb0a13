/** Colors offered for new tags, told apart on dark and light alike. The next unused one is proposed. */
const palette = [
  "#f5a524",
  "#5b9bf0",
  "#3fb968",
  "#e0679a",
  "#9b7bea",
  "#2fb5b0",
  "#f07f4e",
  "#a3b14b",
] as const;

export function nextTagColor(taken: readonly { color: string }[]): string {
  const used = new Set(taken.map((tag) => tag.color.toLowerCase()));
  return palette.find((color) => !used.has(color)) ?? palette[taken.length % palette.length] ?? palette[0];
}
