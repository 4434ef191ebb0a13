/** What stands under a node, by how large it is on screen: name, then address, then ports. */
import type { MapNode } from "#/api/schema";
import type { Measure } from "./cards";
import type { MapPalette } from "./palette";
import type { Words } from "./words-program";

/** Nodes smaller than this on screen say nothing by themselves: the group speaks for them. */
export const FAR_RADIUS = 7;

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

interface LabelLine {
  text: string;
  mono: boolean;
  /** In the color of what is chosen. */
  mark?: boolean;
}

/** `role`: what the node is to the one who looks, such as this server; said under its name. */
export function labelLines(node: MapNode, radius: number, role = ""): LabelLine[] {
  if (radius < FAR_RADIUS) return [];
  // Neighbors stand six radii apart.
  const width = radius * 5.3;
  const lines: LabelLine[] = [{ text: fitText(node.name, width, NAME_PX), mono: false }];
  // Said in full: nothing else on the map is it.
  if (role) lines.push({ text: role, mono: false, mark: true });
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

/** One line of a label; its spot is the middle of its upper edge. */
export function lineWords(
  text: string,
  mono: boolean,
  color: string | null,
  back: string,
  width: Measure,
  colors: MapPalette,
): Words {
  const font = lineFont(mono);
  const wide = width(text, font);
  return {
    left: -wide / 2 - 3,
    top: -3,
    width: wide + 6,
    height: (mono ? SMALL_PX : NAME_PX) + 8,
    draw(context) {
      // Lines run behind words.
      context.beginPath();
      context.roundRect(-wide / 2 - 2, -2, wide + 4, (mono ? SMALL_PX : NAME_PX) + 4, 3);
      context.fillStyle = back;
      context.globalAlpha = 0.9;
      context.fill();
      context.globalAlpha = 1;
      context.textAlign = "center";
      context.textBaseline = "top";
      context.font = font;
      context.fillStyle = color ?? (mono ? colors.muted : colors.ink);
      context.fillText(text, 0, 0);
    },
  };
}

function lineFont(mono: boolean): string {
  return mono ? `${SMALL_PX}px ${MONO}` : `500 ${NAME_PX}px ${SANS}`;
}

export function lineHeight(mono: boolean): number {
  return mono ? SMALL_PX + 3 : NAME_PX + 4;
}

/** Under the pointer the whole name is shown, however long. Its spot is the middle of its upper edge. */
export function hoverWords(name: string, address: string, width: Measure, colors: MapPalette): Words {
  const nameFont = `600 ${NAME_PX + 0.5}px ${SANS}`;
  const wide = Math.max(width(name, nameFont), address ? width(address, lineFont(true)) : 0) + 16;
  const height = address ? 36 : 22;
  return {
    left: -wide / 2 - 1,
    top: -1,
    width: wide + 2,
    height: height + 2,
    draw(context) {
      context.beginPath();
      context.roundRect(-wide / 2, 0, wide, height, 5);
      context.fillStyle = colors.raised;
      context.fill();
      context.strokeStyle = colors.line;
      context.lineWidth = 1;
      context.stroke();
      context.textAlign = "center";
      context.textBaseline = "top";
      if (address) {
        context.font = lineFont(true);
        context.fillStyle = colors.muted;
        context.fillText(address, 0, 20);
      }
      context.font = nameFont;
      context.fillStyle = colors.ink;
      context.fillText(name, 0, 5);
    },
  };
}
