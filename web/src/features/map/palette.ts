/** The colors of the map, read from the tokens of the theme that is shown. */
import type { AssetStatus } from "#/api/schema";

export interface MapPalette {
  canvas: string;
  ink: string;
  muted: string;
  /** Of the ring around what is chosen, and of pins. */
  mark: string;
  markText: string;
  node: string;
  group: string;
  groupLine: string;
  link: string;
  linkStrong: string;
  raised: string;
  line: string;
  status: Record<AssetStatus, string>;
}

/**
 * How much is left of what is not looked for: enough to find it, and little enough that the rest stands out. Small words and colored
 * ones have less contrast to begin with, so more of them is left.
 */
export const DIM = { shape: 0.42, name: 0.5, small: 0.7 };

export function readPalette(element: Element = document.documentElement): MapPalette {
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(`--${name}`).trim() || "#888888";
  return {
    canvas: token("canvas"),
    ink: token("ink"),
    muted: token("ink-muted"),
    // The plain accent is a fill: on a light ground it is too pale for a line or a word.
    mark: token("focus"),
    markText: token("accent-text"),
    node: token("map-node"),
    group: token("map-group"),
    groupLine: token("map-group-line"),
    link: token("map-link"),
    linkStrong: token("map-link-strong"),
    raised: token("raised"),
    line: token("line-strong"),
    status: {
      up: token("up"),
      degraded: token("degraded"),
      down: token("down"),
      not_seen: token("unknown"),
      unknown: token("unknown"),
      maintenance: token("maintenance"),
    },
  };
}

/** "#rrggbb" or "#rgb" (as minified) → three numbers from 0 to 1, for a shader. */
export function rgb(hex: string): [number, number, number] {
  const digits = /^#[0-9a-f]{3}$/i.test(hex) ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
  if (!/^#[0-9a-f]{6}$/i.test(digits)) return [0.5, 0.5, 0.5];
  const value = Number.parseInt(digits.slice(1), 16);
  return [((value >> 16) & 255) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}
