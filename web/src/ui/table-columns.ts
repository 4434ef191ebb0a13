/** What a table's column is, and how wide the columns become. */
import { type ReactNode, type RefObject, useLayoutEffect, useState } from "react";
import { columnWidths } from "./column-widths";
import type { SortValue } from "./order";
import { widest } from "./text-width";

export interface Column<T> {
  id: string;
  header: string;
  cell: (row: T) => ReactNode;
  /** Its words, as they are measured for its width. */
  text?: (row: T) => string;
  /** The server sorts by it. */
  sortable?: boolean;
  /** The client sorts by it, when it holds all rows. */
  sortBy?: (row: T) => SortValue;
  /** What it is sorted by first: the newest, the most. */
  descendingFirst?: boolean;
  /**
   * Its width follows its content between these pixels. `text` is what is measured, with `extra` pixels for what is no text; below
   * `min` it shrinks where all of its texts are shorter. The highest `rank` goes first where there is no room. On a phone the width is
   * `slim`, for a cell that shows less there.
   */
  width?: {
    min: number;
    max?: number;
    text?: (row: T) => string;
    /** The text is shown in the font of addresses. */
    mono?: boolean;
    extra?: number;
    rank?: number;
    slim?: number;
  };
  className?: string;
}

/** Rows that are looked at for the widths of columns. */
const MEASURED = 200;
/** Pixels around a cell's text: its padding and a little to spare. The first column has more at its left. */
const AROUND = 20;
const FIRST = 8;
/** Pixels of the arrow that shows the order. */
const ARROW = 18;
/** As `@max-xl` has it. */
/** The rank of a column that shows nothing: it gives way first. */
const NOTHING = 9;
export const PHONE = 576;

/** The width of an element's inside, in pixels; 0 until it is known. */
export function useRoom(element: RefObject<HTMLElement | null>): number {
  const [box, setBox] = useState<HTMLElement | null>(null);
  const [room, setRoom] = useState(0);
  // After each render, because the element is not there while the table is empty.
  useLayoutEffect(() => setBox(element.current));
  useLayoutEffect(() => {
    if (!box) return;
    const look = () => setRoom(box.clientWidth);
    look();
    const observer = new ResizeObserver(look);
    observer.observe(box);
    return () => observer.disconnect();
  }, [box]);
  return room;
}

/** Nothing where the columns say no widths; they have classes instead. */
export function widthsOf<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  room: number,
): Map<string, number> | undefined {
  if (room <= 0 || !columns.every((column) => column.width)) return undefined;
  const looked = rows.slice(0, MEASURED);
  const asked = columns.map((column, at) => {
    const { min, max, mono, extra, rank, slim, text = column.text } = column.width ?? { min: 0 };
    if (slim && room < PHONE) return { id: column.id, min: slim, max: slim, content: slim, rank: rank ?? 0 };
    const around = AROUND + (at === 0 ? FIRST : 0);
    const head =
      widest([column.header], "500 12px") + around + (column.sortable || column.sortBy ? ARROW : 0);
    const longest = text ? widest(looked.map(text), at === 0 ? "500 13px" : "400 13px", mono) : 0;
    const content = Math.max(head, longest > 0 ? longest + around + (extra ?? 0) : 0);
    // It has nothing to show.
    const bare = at > 0 && !!text && looked.length > 0 && longest === 0;
    return {
      id: column.id,
      min: text ? Math.min(min, content) : Math.max(min, head),
      max: max ?? 480,
      content: Math.max(content, text ? 0 : min),
      rank: bare ? NOTHING : (rank ?? 0),
    };
  });
  return columnWidths(asked, room);
}
