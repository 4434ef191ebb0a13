/**
 * How wide each column of a table is. A column asks for what its content needs, between `min` and `max`. Where the room is short, the
 * columns that need least get all of it first, so that only the greedy ones are cut. What is left over goes to the columns that are
 * still cut, then to all by their size. When there is not even room for the minimums, the columns that matter least are left out; those
 * that matter very little are left out before they cut the others.
 */
export interface WidthOf {
  id: string;
  /** Pixels that it needs at least. */
  min: number;
  /** Pixels that it may take from the others. */
  max: number;
  /** Pixels that show its content whole. */
  content: number;
  /** 0 stays always; of the others the highest goes first. */
  rank: number;
}

/** Pixels that show enough of most texts. */
const READABLE = 180;
/** The rank from which a column gives way before the others are cut. */
const GIVES_WAY = 4;

export function columnWidths(columns: readonly WidthOf[], room: number): Map<string, number> {
  const shown = [...columns];
  const all = (width: (column: WidthOf) => number) => shown.reduce((sum, column) => sum + width(column), 0);
  const least = ({ min }: WidthOf) => min;
  const readable = ({ min, max, content }: WidthOf) => Math.min(content, max, Math.max(min, READABLE));
  for (;;) {
    const rank = Math.max(...shown.map((column) => column.rank));
    const fits = all(least) <= room && (rank < GIVES_WAY || all(readable) <= room);
    if (fits || rank <= 0) break;
    shown.splice(
      shown.findLastIndex((column) => column.rank === rank),
      1,
    );
  }
  const widths = new Map(shown.map(({ id, min }) => [id, min] as const));
  grow(widths, room, (column) => Math.min(column.content, column.max), shown);
  grow(widths, room, (column) => column.content, shown);
  const used = sum(widths);
  if (used > 0 && used < room) for (const [id, width] of widths) widths.set(id, (width * room) / used);
  return widths;
}

/** Gives what is free to the columns that are below their goal, an equal part to each, and none more than it needs. */
function grow(
  widths: Map<string, number>,
  room: number,
  goal: (column: WidthOf) => number,
  columns: readonly WidthOf[],
): void {
  let free = room - sum(widths);
  const needs = columns
    .map((column) => ({ id: column.id, need: goal(column) - (widths.get(column.id) ?? 0) }))
    .filter(({ need }) => need > 0)
    .sort((a, b) => a.need - b.need);
  for (const [at, { id, need }] of needs.entries()) {
    if (free <= 0) return;
    const given = Math.min(need, free / (needs.length - at));
    widths.set(id, (widths.get(id) ?? 0) + given);
    free -= given;
  }
}

function sum(widths: ReadonlyMap<string, number>): number {
  return [...widths.values()].reduce((all, width) => all + width, 0);
}
