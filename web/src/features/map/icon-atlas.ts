/** All asset icons, drawn once into one texture: 8 in a row, white on nothing. */
import { allDrawings } from "#/domain/icons";

export const ATLAS_COLUMNS = 8;
export const ATLAS_ROWS = Math.ceil(allDrawings.length / ATLAS_COLUMNS);
/** Pixels of one icon's cell: a node of 96 pixels on a screen of twice the pixels shows its icon as large. */
export const ATLAS_CELL = 128;
const ICON_BOX = 24;

let atlas: HTMLCanvasElement | null = null;

export function iconAtlas(): HTMLCanvasElement {
  if (atlas) return atlas;
  const canvas = document.createElement("canvas");
  canvas.width = ATLAS_COLUMNS * ATLAS_CELL;
  canvas.height = ATLAS_ROWS * ATLAS_CELL;
  const context = canvas.getContext("2d");
  if (context) {
    context.strokeStyle = "#ffffff";
    context.lineWidth = 2.1;
    context.lineCap = "round";
    context.lineJoin = "round";
    for (const { index, shapes } of allDrawings) {
      context.save();
      context.translate((index % ATLAS_COLUMNS) * ATLAS_CELL, Math.floor(index / ATLAS_COLUMNS) * ATLAS_CELL);
      context.scale(ATLAS_CELL / ICON_BOX, ATLAS_CELL / ICON_BOX);
      for (const [tag, attributes] of shapes) context.stroke(toPath(tag, attributes));
      context.restore();
    }
  }
  atlas = canvas;
  return canvas;
}

function toPath(tag: string, attributes: Record<string, string>): Path2D {
  const number = (name: string) => Number(attributes[name] ?? 0);
  const path = new Path2D(tag === "path" ? attributes.d : undefined);
  if (tag === "rect")
    path.roundRect(number("x"), number("y"), number("width"), number("height"), number("rx") || number("ry"));
  else if (tag === "circle") path.arc(number("cx"), number("cy"), number("r"), 0, 2 * Math.PI);
  else if (tag === "ellipse")
    path.ellipse(number("cx"), number("cy"), number("rx"), number("ry"), 0, 0, 2 * Math.PI);
  else if (tag === "line") {
    path.moveTo(number("x1"), number("y1"));
    path.lineTo(number("x2"), number("y2"));
  } else if (tag === "polyline" || tag === "polygon") {
    const points = (attributes.points ?? "")
      .trim()
      .split(/[\s,]+/)
      .map(Number);
    for (let at = 0; at + 1 < points.length; at += 2) path.lineTo(points[at] ?? 0, points[at + 1] ?? 0);
    if (tag === "polygon") path.closePath();
  }
  return path;
}
