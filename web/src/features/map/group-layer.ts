/** The ground under the nodes (outlines of groups) and the words over them. Plain 2D canvases around sigma's own. */
import type Sigma from "sigma";
import type { AssetStatus } from "#/api/schema";
import type { Group } from "./group";
import { hull } from "./hull";
import { type Place, SPACING } from "./layout";
import type { MapPalette } from "./palette";

interface Outline {
  group: Group;
  points: Place[];
  center: Place;
  top: Place;
}
export interface GroupWords {
  /** With the network's range, or short, for where there is little room. */
  title(group: Group, short: boolean): string;
  summary(group: Group): string;
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
/** Nodes smaller than this on screen say nothing by themselves: the group speaks for them. */
export const FAR_RADIUS = 7;

export class GroupLayer {
  private under = document.createElement("canvas");
  private over = document.createElement("canvas");
  private outlines: Outline[] = [];
  shown = true;

  constructor(
    private readonly container: HTMLElement,
    private readonly palette: () => MapPalette,
    private readonly words: GroupWords,
  ) {
    for (const canvas of [this.under, this.over]) {
      canvas.className = "pointer-events-none absolute inset-0 size-full";
      canvas.setAttribute("aria-hidden", "true");
    }
    container.prepend(this.under);
  }

  /** Sigma adds its canvases at the end of the container; ours with the words must come after them. */
  raise(): void {
    this.container.append(this.over);
  }

  setGroups(groups: readonly Group[], places: ReadonlyMap<string, Place>): void {
    this.outlines = [];
    for (const group of groups) {
      const members = group.members
        .map((node) => places.get(node.id))
        .filter((place): place is Place => !!place);
      if (members.length === 0) continue;
      const points = hull(members);
      const center = {
        x: members.reduce((sum, place) => sum + place.x, 0) / members.length,
        y: members.reduce((sum, place) => sum + place.y, 0) / members.length,
      };
      const top = { x: center.x, y: Math.max(...points.map((place) => place.y)) };
      this.outlines.push({ group, points, center, top });
    }
  }

  private prepare(canvas: HTMLCanvasElement): CanvasRenderingContext2D | null {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.container.clientWidth * ratio);
    const height = Math.round(this.container.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    const context = canvas.getContext("2d");
    context?.setTransform(ratio, 0, 0, ratio, 0, 0);
    context?.clearRect(0, 0, width, height);
    return context;
  }

  drawUnder(sigma: Sigma): void {
    const context = this.prepare(this.under);
    if (!context || !this.shown) return;
    const colors = this.palette();
    const pad = SPACING * 0.62 * pixelsPerUnit(sigma);
    context.lineJoin = "round";
    context.lineCap = "round";
    for (const { group, points } of this.outlines) {
      if (!group.id) continue;
      const path = new Path2D();
      for (const [at, point] of points.entries()) {
        const { x, y } = sigma.graphToViewport(point);
        if (at === 0) path.moveTo(x, y);
        else path.lineTo(x, y);
      }
      path.closePath();
      // A fat rounded stroke around the hull, then the same in the ground's color, one pixel thinner.
      context.strokeStyle = colors.groupLine;
      context.lineWidth = 2 * pad + 2;
      context.stroke(path);
      context.strokeStyle = colors.group;
      context.fillStyle = colors.group;
      context.lineWidth = 2 * pad;
      context.stroke(path);
      context.fill(path);
    }
  }

  drawOver(sigma: Sigma, nodeRadius: number): void {
    const context = this.prepare(this.over);
    if (!context || !this.shown) return;
    const colors = this.palette();
    const far = nodeRadius < FAR_RADIUS;
    const pad = SPACING * 0.62 * pixelsPerUnit(sigma);
    for (const { group, center, top } of this.outlines) {
      const title = this.words.title(group, far);
      if (far) {
        const { x, y } = sigma.graphToViewport(center);
        card(context, colors, x, y, title, this.words.summary(group), group.worst);
      } else if (group.id) {
        const { x, y } = sigma.graphToViewport(top);
        context.font = `600 12px ${FONT}`;
        context.textAlign = "center";
        context.textBaseline = "bottom";
        context.lineWidth = 4;
        context.lineJoin = "round";
        context.strokeStyle = colors.canvas;
        context.fillStyle = colors.muted;
        context.strokeText(title, x, y - pad - 5);
        context.fillText(title, x, y - pad - 5);
      }
    }
  }

  remove(): void {
    this.under.remove();
    this.over.remove();
  }
}

export function pixelsPerUnit(sigma: Sigma): number {
  const a = sigma.graphToViewport({ x: 0, y: 0 });
  const b = sigma.graphToViewport({ x: 100, y: 0 });
  return Math.hypot(b.x - a.x, b.y - a.y) / 100;
}

/** What a whole group says when its nodes are too small to: name, count, worst status by color and shape. */
function card(
  context: CanvasRenderingContext2D,
  colors: MapPalette,
  center: number,
  y: number,
  title: string,
  text: string,
  worst: AssetStatus,
): void {
  context.font = `600 13px ${FONT}`;
  const titleWidth = context.measureText(title).width;
  context.font = `12px ${FONT}`;
  const textWidth = context.measureText(text).width + 16;
  const width = Math.max(titleWidth, textWidth) + 24;
  const height = 46;
  // A group whose middle is on screen keeps its words on screen.
  const edge = context.canvas.clientWidth - width / 2 - 6;
  const x =
    center > 0 && center < context.canvas.clientWidth
      ? Math.max(width / 2 + 6, Math.min(edge, center))
      : center;
  context.beginPath();
  context.roundRect(x - width / 2, y - height / 2, width, height, 7);
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
  context.font = `600 13px ${FONT}`;
  context.fillText(title, x, y - 9);
  context.fillStyle = colors.muted;
  context.font = `12px ${FONT}`;
  context.fillText(text, x + 8, y + 10);
  statusShape(context, colors, worst, x + 8 - (textWidth - 16) / 2 - 12, y + 10);
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
