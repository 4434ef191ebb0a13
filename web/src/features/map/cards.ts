/** What a group says: its name beside its outline, or, where its nodes are too small to speak, a card for all of it. */
import type { AssetStatus } from "#/api/schema";
import type { MapPalette } from "./palette";
import type { Words } from "./words-program";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const TITLE = `600 13px ${FONT}`;
const TEXT = `12px ${FONT}`;
const HEIGHT = 46;

/** Around its middle at the foot. */
export function titleWords(title: string, width: Measure, colors: MapPalette): Words {
  const font = `600 12px ${FONT}`;
  const wide = width(title, font);
  return {
    left: -wide / 2 - 4,
    top: -20,
    width: wide + 8,
    height: 25,
    draw(context) {
      context.font = font;
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

/** How wide a text is, in CSS pixels. */
export type Measure = (text: string, font: string) => number;

export function cardWidth(title: string, text: string, width: Measure): number {
  return Math.max(width(title, TITLE), width(text, TEXT) + 16) + 24;
}

/** What a whole group says when its nodes are too small to: name, count, worst status by color and shape. */
export function cardWords(
  title: string,
  text: string,
  worst: AssetStatus,
  width: Measure,
  colors: MapPalette,
): Words {
  const wide = cardWidth(title, text, width);
  return {
    left: -wide / 2 - 1,
    top: -HEIGHT / 2 - 1,
    width: wide + 2,
    height: HEIGHT + 2,
    draw(context) {
      context.beginPath();
      context.roundRect(-wide / 2, -HEIGHT / 2, wide, HEIGHT, 7);
      context.fillStyle = colors.raised;
      context.globalAlpha = 0.94;
      context.fill();
      context.globalAlpha = 1;
      context.strokeStyle = colors.line;
      context.lineWidth = 1;
      context.stroke();
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillStyle = colors.ink;
      context.font = TITLE;
      context.fillText(title, 0, -9);
      context.fillStyle = colors.muted;
      context.font = TEXT;
      context.fillText(text, 8, 10);
      statusShape(context, colors, worst, 8 - width(text, TEXT) / 2 - 12, 10);
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
  } else if (status === "down") context.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8);
  else if (status === "maintenance") {
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
  } else context.arc(x, y, r * 0.9, 0, 2 * Math.PI);
  const color = colors.status[status];
  if (status === "unknown" || status === "maintenance") {
    context.strokeStyle = color;
    context.lineWidth = 1.6;
    context.stroke();
  } else {
    context.fillStyle = color;
    context.fill();
  }
}
