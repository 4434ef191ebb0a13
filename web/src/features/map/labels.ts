/** What stands under a node, by how large it is on screen: name, then address, then ports. */
import type { MapNode } from "#/api/schema";
import { FAR_RADIUS } from "./group-layer";
import type { MapPalette } from "./palette";

const SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const MONO = "'JetBrains Mono', ui-monospace, monospace";
const NAME_PX = 11.5;
const SMALL_PX = 10.5;
const ADDRESS_RADIUS = 13;
const PORTS_RADIUS = 20;

/** Measuring a thousand texts in each frame is slow; an average letter is good enough to cut a name short. */
export function fitText(text: string, width: number, fontPx: number): string {
  const letters = Math.max(3, Math.floor(width / (fontPx * 0.56)));
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}

export function labelLines(node: MapNode, radius: number): { text: string; mono: boolean }[] {
  if (radius < FAR_RADIUS) return [];
  // Neighbors stand six radii apart.
  const width = radius * 5.6;
  const lines = [{ text: fitText(node.name, width, NAME_PX), mono: false }];
  if (radius >= ADDRESS_RADIUS) {
    const address = node.addresses[0];
    if (address && address !== node.name)
      lines.push({ text: fitText(address, width * 1.2, SMALL_PX), mono: true });
  }
  if (radius >= PORTS_RADIUS) {
    for (const other of node.addresses.slice(1, 3))
      lines.push({ text: fitText(other, width * 1.2, SMALL_PX), mono: true });
    if (node.ports.length > 0) {
      const shown = node.ports.slice(0, 5).join(" ");
      lines.push({ text: node.ports.length > 5 ? `${shown} +${node.ports.length - 5}` : shown, mono: true });
    }
  }
  return lines;
}

/** `own` is this node's radius on screen, `plain` that of an ordinary one: what is said depends on the zoom alone. */
export function drawLabel(
  context: CanvasRenderingContext2D,
  node: MapNode,
  x: number,
  y: number,
  radius: { own: number; plain: number },
  colors: MapPalette,
  alpha: number,
): void {
  const lines = labelLines(node, radius.plain);
  if (lines.length === 0) return;
  context.save();
  context.globalAlpha = alpha;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = colors.canvas;
  let top = y + radius.own * 1.22 + 3;
  for (const { text, mono } of lines) {
    context.font = mono ? `${SMALL_PX}px ${MONO}` : `500 ${NAME_PX}px ${SANS}`;
    context.fillStyle = mono ? colors.muted : colors.ink;
    context.strokeText(text, x, top);
    context.fillText(text, x, top);
    top += mono ? SMALL_PX + 3 : NAME_PX + 4;
  }
  context.restore();
}

/** Under the pointer the whole name is shown, however long. */
export function drawHover(
  context: CanvasRenderingContext2D,
  node: MapNode,
  x: number,
  y: number,
  radius: number,
  colors: MapPalette,
): void {
  context.save();
  context.font = `600 ${NAME_PX + 0.5}px ${SANS}`;
  const address = node.addresses[0] && node.addresses[0] !== node.name ? node.addresses[0] : "";
  const nameWidth = context.measureText(node.name).width;
  context.font = `${SMALL_PX}px ${MONO}`;
  const width = Math.max(nameWidth, address ? context.measureText(address).width : 0) + 16;
  const height = address ? 36 : 22;
  const top = y + radius * 1.22 + 2;
  context.beginPath();
  context.roundRect(x - width / 2, top, width, height, 5);
  context.fillStyle = colors.raised;
  context.fill();
  context.strokeStyle = colors.line;
  context.lineWidth = 1;
  context.stroke();
  context.textAlign = "center";
  context.textBaseline = "top";
  if (address) {
    context.fillStyle = colors.muted;
    context.fillText(address, x, top + 20);
  }
  context.font = `600 ${NAME_PX + 0.5}px ${SANS}`;
  context.fillStyle = colors.ink;
  context.fillText(node.name, x, top + 5);
  context.restore();
}
