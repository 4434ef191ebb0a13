/** What a group says: its name beside its outline, or, where its nodes are too small to speak, a card for all of it. */
import type { AssetStatus } from "#/api/schema";
import { hollowStatuses } from "#/domain/asset";
import type { MapPalette } from "./palette";
import type { Words } from "./words-program";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const TITLE = `600 13px ${FONT}`;
const TEXT = `12px ${FONT}`;
const LINE = 17;
const FRAME = 12;
/** Between a card and the outline that it speaks for. */
const GAP = 4;
/** Cards that one view may show. */
const CARDS_MOST = 60;

export const GROUP_TITLE = `600 12px ${FONT}`;

/** Around its middle at the foot. */
export function titleWords(title: string, width: Measure, colors: MapPalette): Words {
  const wide = width(title, GROUP_TITLE);
  return {
    left: -wide / 2 - 4,
    top: -20,
    width: wide + 8,
    height: 25,
    draw(context) {
      context.font = GROUP_TITLE;
      context.textAlign = "center";
      context.textBaseline = "bottom";
      context.lineWidth = 4;
      context.lineJoin = "round";
      context.strokeStyle = colors.canvas;
      context.fillStyle = colors.muted;
      context.strokeText(title, 0, 0);
      context.fillText(title, 0, 0);
    },
  };
}

/** Where the middle of a title is: above its group, and not cut by the edge of the screen while the group is on it. */
export function titleMiddle(middle: number, wide: number, screen: number): number {
  const half = wide / 2 + 6;
  return half * 2 > screen ? middle : Math.min(Math.max(middle, half), screen - half);
}

/** How wide a text is, in CSS pixels. */
export type Measure = (text: string, font: string) => number;

/** A card says its title and, where there is room, how many nodes there are and which. */
export interface Card {
  title: string;
  lines: readonly string[];
  worst: AssetStatus;
}
export interface CardBox {
  x: number;
  y: number;
  width: number;
  height: number;
}

export function cardSize({ title, lines }: Card, width: Measure): { width: number; height: number } {
  const widest = Math.max(width(title, TITLE) + 16, ...lines.map((line) => width(line, TEXT)));
  return { width: Math.ceil(widest) + 20, height: LINE * (1 + lines.length) + FRAME };
}

/** Where an outline is on the screen, and the cards that may speak for it, the fullest first. */
export interface CardWish {
  left: number;
  right: number;
  top: number;
  bottom: number;
  weight: number;
  sizes: readonly { width: number; height: number }[];
}
/** Which card, and its box by its upper left corner. */
export interface CardSpot extends CardBox {
  wish: number;
  size: number;
}

/**
 * Cards stand beside what they speak for, never on it, nor on another group where there is any other room; and never on each other, nor
 * on what lies in the `corners`.
 */
export function placeCards(
  wishes: readonly CardWish[],
  screen: { width: number; height: number },
  corners: readonly CardBox[] = [],
): CardSpot[] {
  const spots: CardSpot[] = [];
  const seen = [...wishes.keys()]
    .filter((at) => {
      const { left, right, top, bottom } = wishes[at] as CardWish;
      return right > 0 && left < screen.width && bottom > 0 && top < screen.height;
    })
    .sort((a, b) => (wishes[b]?.weight ?? 0) - (wishes[a]?.weight ?? 0) || a - b)
    .slice(0, CARDS_MOST);
  const outlines = seen.map((at) => {
    const { left, right, top, bottom } = wishes[at] as CardWish;
    return { x: left, y: top, width: right - left, height: bottom - top };
  });
  for (const at of seen) {
    const wish = wishes[at] as CardWish;
    const possible = candidates(wish, screen)
      .filter(({ box }) => ![...corners, ...spots].some((one) => meets(one, box)))
      .map((one) => ({ ...one, covers: outlines.reduce((sum, other) => sum + common(other, one.box), 0) }));
    const first = possible[0];
    if (!first) continue;
    const best = possible.reduce((least, one) => (one.covers < least.covers ? one : least), first);
    spots.push({ ...best.box, wish: at, size: best.size });
  }
  return spots;
}

function candidates(wish: CardWish, screen: { width: number; height: number }) {
  const out: { size: number; box: CardBox }[] = [];
  for (const [size, { width, height }] of wish.sizes.entries()) {
    const within = (at: number, length: number, most: number) => Math.max(4, Math.min(most - length - 4, at));
    const x = within((wish.left + wish.right - width) / 2, width, screen.width);
    const y = within((wish.top + wish.bottom - height) / 2, height, screen.height);
    for (const box of [
      { x, y: wish.top - GAP - height, width, height },
      { x, y: wish.bottom + GAP, width, height },
      { x: wish.right + GAP, y, width, height },
      { x: wish.left - GAP - width, y, width, height },
    ])
      if (box.x >= 0 && box.y >= 0 && box.x + width <= screen.width && box.y + height <= screen.height)
        out.push({ size, box });
  }
  return out;
}

function meets(a: CardBox, b: CardBox): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** How many pixels both cover. */
function common(a: CardBox, b: CardBox): number {
  const wide = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const high = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, wide) * Math.max(0, high);
}

/** Around its upper left corner. */
export function cardWords(card: Card, width: Measure, colors: MapPalette): Words {
  const size = cardSize(card, width);
  return {
    left: -1,
    top: -1,
    width: size.width + 2,
    height: size.height + 2,
    draw(context) {
      context.beginPath();
      context.roundRect(0, 0, size.width, size.height, 6);
      context.fillStyle = colors.raised;
      context.fill();
      context.strokeStyle = colors.line;
      context.lineWidth = 1;
      context.stroke();
      context.textAlign = "left";
      context.textBaseline = "middle";
      context.fillStyle = colors.ink;
      context.font = TITLE;
      context.fillText(card.title, 26, FRAME / 2 + LINE / 2);
      context.fillStyle = colors.muted;
      context.font = TEXT;
      for (const [at, line] of card.lines.entries())
        context.fillText(line, 10, FRAME / 2 + LINE * (at + 1.5));
      statusShape(context, colors, card.worst, 15, FRAME / 2 + LINE / 2);
    },
  };
}

function statusShape(
  context: CanvasRenderingContext2D,
  colors: MapPalette,
  status: AssetStatus,
  x: number,
  y: number,
): void {
  const r = 4.5;
  context.beginPath();
  if (status === "degraded") {
    context.moveTo(x, y - r);
    context.lineTo(x + r, y + r * 0.85);
    context.lineTo(x - r, y + r * 0.85);
    context.closePath();
  } else if (status === "down" || status === "not_seen")
    context.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (status === "maintenance") {
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
  } else context.arc(x, y, r * 0.9, 0, 2 * Math.PI);
  const color = colors.status[status];
  if (hollowStatuses.has(status)) {
    context.strokeStyle = color;
    context.lineWidth = 1.6;
    context.stroke();
  } else {
    context.fillStyle = color;
    context.fill();
  }
}
