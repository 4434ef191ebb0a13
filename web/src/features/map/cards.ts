/** What a group says: its name beside its outline, or, where its nodes are too small to speak, a card for all of it. */
import type { AssetStatus } from "#/api/schema";
import { hollowStatuses } from "#/domain/asset";
import type { Size } from "./camera";
import type { MapPalette } from "./palette";
import { type Box, common, type Room } from "./room";
import type { Words } from "./words-program";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const TITLE = `600 13px ${FONT}`;
const TEXT = `12px ${FONT}`;
const LINE = 17;
const FRAME = 12;
/** Between a card and the outline that it speaks for. */
const GAP = 4;
/** From a card to every other one, and to every name. */
const APART = 6;
/** A card so close to another group seems to speak for that one. */
const STRANGER = 14;
/** Where there is no room right beside an outline there may be some a little farther off. */
const STEPS_OFF = [0, 10, 24, 40];
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
export interface CardSpot extends Box {
  wish: number;
  size: number;
}

/**
 * Cards stand beside what they speak for, never on a node, nor on each other, nor on what has taken its `room` before; and
 * on the ground of another group only where there is no other room. Each takes its own room.
 */
export function placeCards(wishes: readonly CardWish[], screen: Size, room: Room): CardSpot[] {
  const spots: CardSpot[] = [];
  const seen = [...wishes.keys()]
    .filter((at) => {
      const { left, right, top, bottom } = wishes[at] as CardWish;
      return right > 0 && left < screen.width && bottom > 0 && top < screen.height;
    })
    .sort((a, b) => (wishes[b]?.weight ?? 0) - (wishes[a]?.weight ?? 0) || a - b)
    .slice(0, CARDS_MOST);
  const outlines = seen.map((at) => boxOf(wishes[at] as CardWish));
  for (const at of seen) {
    const wish = wishes[at] as CardWish;
    const best = candidates(wish, screen)
      .map((one) => ({ ...one, cost: costOf(one, wish, outlines) }))
      .sort((a, b) => a.cost - b.cost)
      .find(({ box }) => room.isFree(box, APART));
    if (!best) continue;
    room.take(best.box);
    spots.push({ ...best.box, wish: at, size: best.size });
  }
  return spots;
}

function boxOf({ left, right, top, bottom }: CardWish): Box {
  return { x: left, y: top, width: right - left, height: bottom - top };
}

interface Candidate {
  size: number;
  box: Box;
}

/** Small cards say less, far ones leave open whom they speak for, and ground belongs to a group. */
function costOf({ size, box }: Candidate, wish: CardWish, outlines: readonly Box[]): number {
  const own = boxOf(wish);
  const close = {
    x: box.x - STRANGER,
    y: box.y - STRANGER,
    width: box.width + 2 * STRANGER,
    height: box.height + 2 * STRANGER,
  };
  const ground = outlines.reduce((sum, other) => {
    const mine = other.x === own.x && other.y === own.y;
    return sum + common(other, box) + (mine ? 0 : common(other, close));
  }, 0);
  const wide = Math.max(0, own.x - (box.x + box.width), box.x - (own.x + own.width));
  const high = Math.max(0, own.y - (box.y + box.height), box.y - (own.y + own.height));
  const beside =
    Math.abs(box.x + box.width / 2 - own.x - own.width / 2) +
    Math.abs(box.y + box.height / 2 - own.y - own.height / 2);
  return ground + 40 * Math.hypot(wide, high) + beside + 600 * size;
}

/** On each side of the outline, in its middle and at its ends; and at its corners, which its round shape leaves free. */
function candidates(wish: CardWish, screen: Size): Candidate[] {
  const out: Candidate[] = [];
  const { left, right, top, bottom } = wish;
  const round = (length: number) => length * (0.5 - Math.SQRT1_2 / 2);
  for (const [size, { width, height }] of wish.sizes.entries()) {
    const along = (from: number, to: number, length: number, most: number) =>
      [(from + to - length) / 2, from, to - length, from - length * 0.6, to - length * 0.4].map((at) =>
        Math.max(4, Math.min(most - length - 4, at)),
      );
    const spots = [
      ...along(left, right, width, screen.width).flatMap((x) =>
        STEPS_OFF.flatMap((off) => [
          { x, y: top - GAP - height - off },
          { x, y: bottom + GAP + off },
        ]),
      ),
      ...along(top, bottom, height, screen.height).flatMap((y) =>
        STEPS_OFF.flatMap((off) => [
          { x: right + GAP + off, y },
          { x: left - GAP - width - off, y },
        ]),
      ),
      ...[left + round(right - left) - width, right - round(right - left)].flatMap((x) => [
        { x, y: top + round(bottom - top) - height },
        { x, y: bottom - round(bottom - top) },
      ]),
    ];
    for (const { x, y } of spots)
      if (x >= 0 && y >= 0 && x + width <= screen.width && y + height <= screen.height)
        out.push({ size, box: { x, y, width, height } });
  }
  return out;
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
