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

/** How far and how near one may go. */
export interface Range {
  min: number;
  max: number;
}
const SCALE_MIN = 0.006;
/** As near as makes a node of 28 units 96 pixels wide. */
export const SCALE_MAX = 96 / 28;
/** The closest that "fit" goes: a map of three nodes must not fill the screen with three discs. */
const FIT_SCALE_MAX = 1.15;

export function toScreen({ x, y, scale }: Camera, { width, height }: Size, place: Place): Place {
  return { x: width / 2 + (place.x - x) * scale, y: height / 2 - (place.y - y) * scale };
}

export function toMap({ x, y, scale }: Camera, { width, height }: Size, spot: Place): Place {
  return { x: x + (spot.x - width / 2) / scale, y: y - (spot.y - height / 2) / scale };
}

/** Nearer or farther, with what is under `spot` staying there. */
export function zoomedAt(camera: Camera, size: Size, spot: Place, factor: number, range: Range): Camera {
  const scale = Math.min(range.max, Math.max(range.min, camera.scale * factor));
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

/**
 * The smallest move of the camera that brings `place` into view, `margin` pixels from the edge; null when it is there.
 * `covered`: pixels at the foot that something else covers.
 */
export function showing(
  camera: Camera,
  size: Size,
  place: Place,
  margin: number,
  covered = 0,
): Camera | null {
  const spot = toScreen(camera, size, place);
  const beyond = (at: number, length: number) => {
    const room = Math.min(margin, length / 2);
    return at < room ? at - room : at > length - room ? at - (length - room) : 0;
  };
  const [dx, dy] = [beyond(spot.x, size.width), beyond(spot.y, size.height - covered)];
  if (dx === 0 && dy === 0) return null;
  return { ...camera, x: camera.x + dx / camera.scale, y: camera.y - dy / camera.scale };
}

/** Between two views, so that a zoom around a spot keeps that spot still all the way. */
export function between(from: Camera, to: Camera, part: number): Camera {
  const mix = (a: number, b: number) => a + (b - a) * part;
  return { x: mix(from.x, to.x), y: mix(from.y, to.y), scale: 1 / mix(1 / from.scale, 1 / to.scale) };
}
