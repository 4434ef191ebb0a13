/** Where the map is looked at from. Pure. y points up on the map and down on the screen. */
import { type Place, SPACING } from "./layout";

/** The place in the middle of the picture, and how many pixels of the screen one unit of the map is. */
export interface Camera {
  x: number;
  y: number;
  scale: number;
}
export interface Size {
  width: number;
  height: number;
}

const SCALE_MIN = 0.006;
const SCALE_MAX = 20;
/** The closest that "fit" goes: a map of three nodes must not fill the screen with three discs. */
const FIT_SCALE_MAX = 1.15;

export function toScreen({ x, y, scale }: Camera, { width, height }: Size, place: Place): Place {
  return { x: width / 2 + (place.x - x) * scale, y: height / 2 - (place.y - y) * scale };
}

export function toMap({ x, y, scale }: Camera, { width, height }: Size, spot: Place): Place {
  return { x: x + (spot.x - width / 2) / scale, y: y - (spot.y - height / 2) / scale };
}

/** Nearer or farther, with what is under `spot` staying there. */
export function zoomedAt(camera: Camera, size: Size, spot: Place, factor: number): Camera {
  const scale = Math.min(SCALE_MAX, Math.max(SCALE_MIN, camera.scale * factor));
  const under = toMap(camera, size, spot);
  return {
    x: under.x - (spot.x - size.width / 2) / scale,
    y: under.y + (spot.y - size.height / 2) / scale,
    scale,
  };
}

/** Shows all of the places; null when there is nothing to show, or nowhere. */
export function fitting(places: Iterable<Place>, { width, height }: Size): Camera | null {
  let [left, right] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  let [bottom, top] = [left, right];
  for (const { x, y } of places) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    bottom = Math.min(bottom, y);
    top = Math.max(top, y);
  }
  if (left > right || width === 0 || height === 0) return null;
  const scale = Math.min(
    width / (right - left + SPACING * 2.2),
    height / (top - bottom + SPACING * 2.6),
    FIT_SCALE_MAX,
  );
  return { x: (left + right) / 2, y: (bottom + top) / 2, scale: Math.max(SCALE_MIN, scale) };
}

/** Between two views, so that a zoom around a spot keeps that spot still all the way. */
export function between(from: Camera, to: Camera, part: number): Camera {
  const mix = (a: number, b: number) => a + (b - a) * part;
  return { x: mix(from.x, to.x), y: mix(from.y, to.y), scale: 1 / mix(1 / from.scale, 1 / to.scale) };
}
