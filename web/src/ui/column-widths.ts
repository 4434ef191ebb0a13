/**
 * How wide each column of a table is. A column asks for what its content needs, between `min` and `max`. What is left over goes to
 * the columns that were cut, then to all by their size. When there is not even room for the minimums, the columns that matter
 * least are left out.
 */
export interface WidthOf {
  id: string;
  /** Pixels that it needs at least. */
  min: number;
  /** Pixels beyond which more room helps nobody. */
  max: number;
  /** Pixels that show its content whole. */
  content: number;
  /** 0 stays always; of the others the highest goes first. */
  rank: number;
}

export function columnWidths(columns: readonly WidthOf[], room: number): Map<string, number> {
  const shown = [...columns];
  const least = () => shown.reduce((sum, column) => sum + column.min, 0);
  while (least() > room) {
    const rank = Math.max(...shown.map((column) => column.rank));
    if (rank <= 0) break;
    shown.splice(
      shown.findLastIndex((column) => column.rank === rank),
      1,
    );
  }
  const wanted = (column: WidthOf) => Math.min(Math.max(column.content, column.min), column.max);
  const spare = room - least();
  const asked = shown.reduce((sum, column) => sum + wanted(column) - column.min, 0);
  const share = asked > 0 ? Math.min(1, Math.max(0, spare) / asked) : 0;
  const widths = new Map(
    shown.map((column) => [column.id, column.min + (wanted(column) - column.min) * share] as const),
  );
  const used = [...widths.values()].reduce((sum, width) => sum + width, 0);
  if (used > 0 && used < room) for (const [id, width] of widths) widths.set(id, (width * room) / used);
  return widths;
}
