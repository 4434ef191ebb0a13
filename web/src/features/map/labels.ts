/** What stands under a node, by how large it is on screen: name, then address, then ports. */
import type { MapNode } from "#/api/schema";
import { isIp } from "#/domain/address";
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
const TWO_LINES_LOWEST = 9;
/** From here on a second line ends above the lane of the next row. */
const TWO_LINES_RADIUS = 12.5;

/** Measuring a thousand texts in each frame is slow; an average letter is good enough to cut a name short. */
export function fitText(text: string, width: number, fontPx: number): string {
  const letters = Math.max(3, Math.floor(width / (fontPx * 0.56)));
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}

export interface LabelLine {
  text: string;
  mono: boolean;
  /** In the color of what is chosen. */
  mark?: boolean;
}

/** Where a name may go on in a second line: behind these, or before a bracket; never within an address. */
const BREAKS = /[\s\-_/@]+|\.(?!\d)|(?=[([])/g;

/** The longest beginning of a text that has room, with an ellipsis for the rest; of an address the end, which tells it from its neighbors. */
function cut(text: string, width: number, wide: (text: string) => number): string {
  if (wide(text) <= width) return text;
  if (isIp(text)) {
    let from = 1;
    while (from < text.length - 2 && wide(`…${text.slice(from)}`) > width) from++;
    return `…${text.slice(from).replace(/^[.:]/, "")}`;
  }
  // The number at the end tells phone-11 from phone-12.
  const end = `…${/\d{1,3}$/.exec(text)?.[0] ?? ""}`;
  let [fits, over] = [2, text.length];
  while (over - fits > 1) {
    const middle = (fits + over) >> 1;
    if (wide(text.slice(0, middle).trimEnd() + end) <= width) fits = middle;
    else over = middle;
  }
  return text.slice(0, fits).trimEnd() + end;
}

/** A name in one line, for which there may be more room `free`, or in two where it breaks at a sign; what still has no room is cut. */
export function nameLines(
  name: string,
  width: number,
  most: number,
  wide: (text: string) => number,
  free = width,
): string[] {
  // What the neighbors leave free is for a name that is one line then.
  if (most < 2 || wide(name) <= Math.max(width, free) || isIp(name))
    return [cut(name, Math.max(width, free), wide)];
  let head = "";
  let rest = name;
  for (const { index, 0: sign } of name.matchAll(BREAKS)) {
    const at = index + sign.length;
    const before = name.slice(0, at).trim();
    if (at >= name.length || wide(before) > width) break;
    head = before;
    rest = name.slice(at).trim();
  }
  return head ? [head, cut(rest, width, wide)] : [cut(name, Math.max(width, free), wide)];
}

/**
 * `names`: the lines of the name, which has so much width and at most so many lines. `role`: what the node is to the one who looks, such
 * as this server; said under its name. `lowest`: nothing is close under it.
 */
export function labelLines(
  node: MapNode,
  radius: number,
  names: (width: number, most: number) => readonly string[],
  role = "",
  lowest = false,
): LabelLine[] {
  if (radius < FAR_RADIUS) return [];
  // Neighbors stand six radii apart, and rows somewhat over five.
  const width = radius * 5.7;
  const room = radius * 2.76 - 3;
  // The second line is the shorter one, and the next row stands between.
  const most = radius >= TWO_LINES_RADIUS || (lowest && radius >= TWO_LINES_LOWEST) ? 2 : 1;
  const lines: LabelLine[] = names(width, most).map((text) => ({ text, mono: false }));
  // Said in full: nothing else on the map is it.
  if (role) lines.push({ text: role, mono: false, mark: true });
  // The lane above the next row stays free.
  const left = Math.floor((room - lines.length * lineHeight(false)) / lineHeight(true));
  const small = (text: string): LabelLine => ({ text: fitText(text, width * 1.2, SMALL_PX), mono: true });
  const [address, ...others] = node.addresses;
  const more: LabelLine[] = [];
  if (radius >= ADDRESS_RADIUS && address && address !== node.name) more.push(small(address));
  if (radius >= PORTS_RADIUS) {
    const shown = node.ports.slice(0, 5).join(" ");
    const text = node.ports.length > 5 ? `${shown} +${node.ports.length - 5}` : shown;
    const ports: LabelLine[] = text ? [{ text, mono: true }] : [];
    const free = Math.max(0, left - more.length - ports.length);
    more.push(...others.slice(0, Math.min(2, free)).map(small), ...ports);
  }
  return [...lines, ...more.slice(0, Math.max(0, left))];
}

/** One line of a label; its spot is the middle of its upper edge. */
export function lineWords(
  text: string,
  mono: boolean,
  color: string | null,
  width: Measure,
  colors: MapPalette,
): Words {
  const font = lineFont(mono);
  const wide = width(text, font);
  return {
    left: -wide / 2 - 3,
    top: -3,
    width: wide + 6,
    height: linePx(mono) + 8,
    draw(context) {
      context.textAlign = "center";
      context.textBaseline = "top";
      context.font = font;
      context.fillStyle = color ?? (mono ? colors.muted : colors.ink);
      context.fillText(text, 0, 0);
    },
  };
}

/** Behind a line that a link would run through. It has the line's spot. */
export function plateWords(wide: number, mono: boolean, back: string): Words {
  const height = linePx(mono) + 4;
  return {
    left: -wide / 2,
    top: -2,
    width: wide,
    height,
    draw(context) {
      context.beginPath();
      context.roundRect(-wide / 2, -2, wide, height, 3);
      context.fillStyle = back;
      context.fill();
    },
  };
}

export function lineFont(mono: boolean): string {
  return mono ? `${SMALL_PX}px ${MONO}` : `500 ${NAME_PX}px ${SANS}`;
}

/** How high its letters are. */
export function linePx(mono: boolean): number {
  return mono ? SMALL_PX : NAME_PX;
}

export function lineHeight(mono: boolean): number {
  return linePx(mono) + (mono ? 3 : 4);
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
