/**
 * What is free on the screen. Pure. Every name, title and card asks here for its room before it is drawn, so that none of
 * them covers a node or another one. Units are CSS pixels from the upper left corner.
 */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const CELL = 48;
/** So far beyond the edges of the screen is still known: names come in from there. */
const BEYOND = 240;

export class Room {
  private readonly columns: number;
  private readonly rows: number;
  /** Per cell: x, y and radius of each disc, one after another. */
  private readonly discs: (number[] | undefined)[] = [];
  private readonly boxes: (Box[] | undefined)[] = [];

  constructor({ width, height }: { width: number; height: number }) {
    this.columns = Math.ceil((width + 2 * BEYOND) / CELL);
    this.rows = Math.ceil((height + 2 * BEYOND) / CELL);
  }

  /** A node. */
  stand(x: number, y: number, radius: number): void {
    const box = { x: x - radius, y: y - radius, width: 2 * radius, height: 2 * radius };
    this.each(box, (at) => {
      const cell = this.discs[at];
      if (cell) cell.push(x, y, radius);
      else this.discs[at] = [x, y, radius];
      return false;
    });
  }

  take(box: Box): void {
    this.each(box, (at) => {
      const cell = this.boxes[at];
      if (cell) cell.push(box);
      else this.boxes[at] = [box];
      return false;
    });
  }

  /** `apart`: so far from every other box. */
  isFree(box: Box, apart = 0): boolean {
    const wide = {
      x: box.x - apart,
      y: box.y - apart,
      width: box.width + 2 * apart,
      height: box.height + 2 * apart,
    };
    return !this.each(wide, (at) => {
      if (this.boxes[at]?.some((other) => meets(other, wide))) return true;
      const discs = this.discs[at];
      if (!discs) return false;
      for (let i = 0; i < discs.length; i += 3)
        if (covers(box, discs[i] ?? 0, discs[i + 1] ?? 0, discs[i + 2] ?? 0)) return true;
      return false;
    });
  }

  private each({ x, y, width, height }: Box, work: (cell: number) => boolean): boolean {
    const left = Math.max(0, Math.floor((x + BEYOND) / CELL));
    const right = Math.min(this.columns - 1, Math.floor((x + width + BEYOND) / CELL));
    const top = Math.max(0, Math.floor((y + BEYOND) / CELL));
    const bottom = Math.min(this.rows - 1, Math.floor((y + height + BEYOND) / CELL));
    for (let row = top; row <= bottom; row++)
      for (let column = left; column <= right; column++) if (work(row * this.columns + column)) return true;
    return false;
  }
}

export function meets(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** Whether a box lies on a disc. */
export function covers(box: Box, x: number, y: number, radius: number): boolean {
  const dx = x - Math.max(box.x, Math.min(x, box.x + box.width));
  const dy = y - Math.max(box.y, Math.min(y, box.y + box.height));
  return dx * dx + dy * dy < radius * radius;
}

/** How many pixels both boxes cover. */
export function common(a: Box, b: Box): number {
  const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, wide) * Math.max(0, high);
}
