/** Mouse, pen and fingers on the map: what they mean. Knows no nodes and no camera. Spots are pixels from the corner. */
import type { Place } from "./layout";

export interface GestureEvents {
  /** True when there is something to drag: moves are then drags of it, not of the ground. */
  grab(spot: Place, touch: boolean): boolean;
  drag(spot: Place): void;
  drop(): void;
  pan(dx: number, dy: number): void;
  /** Let go while moving; the last move, in pixels. */
  fling(dx: number, dy: number): void;
  zoom(spot: Place, factor: number, smooth: boolean): void;
  click(spot: Place, touch: boolean): void;
  doubleClick(spot: Place): void;
  hover(spot: Place | null): void;
}

/** A hand shakes: less than this is a click. */
const SHAKE = { mouse: 3, touch: 8 };
const REST = 8;
const DOUBLE_MS = 300;
const FLING_MS = 60;
/** One notch of an ordinary wheel is 100 to 120 units, and makes everything a fifth larger. */
const WHEEL = Math.log(1.2) / 110;
/** Browsers tell a pinch on a touchpad as a wheel with Ctrl, of so many units for a doubling or so. */
const PINCH = 1 / 100;
const NOTCHES_MOST = 3;
const LINE_PX = 36;

interface Pointer {
  at: Place;
  from: Place;
}

export function listen(target: HTMLElement, events: GestureEvents): () => void {
  const pointers = new Map<number, Pointer>();
  let grabbed = false;
  let moved = false;
  let last = { dx: 0, dy: 0, when: 0 };
  /** Where something was dropped: until the mouse leaves there, it says nothing. */
  let resting: Place | null = null;
  let clicked = { at: { x: 0, y: 0 }, when: Number.NEGATIVE_INFINITY };

  const spotOf = (event: MouseEvent): Place => {
    const box = target.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const far = (a: Place, b: Place, type: string) =>
    Math.hypot(a.x - b.x, a.y - b.y) > (type === "mouse" ? SHAKE.mouse : SHAKE.touch);

  function down(event: PointerEvent): void {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    const at = spotOf(event);
    pointers.set(event.pointerId, { at, from: at });
    target.setPointerCapture(event.pointerId);
    if (pointers.size === 1) {
      moved = false;
      last = { dx: 0, dy: 0, when: 0 };
      grabbed = events.grab(at, event.pointerType === "touch");
    } else {
      // A second finger: from here on it is a pinch.
      moved = true;
      if (grabbed) events.drop();
      grabbed = false;
    }
  }

  function move(event: PointerEvent): void {
    const at = spotOf(event);
    const pointer = pointers.get(event.pointerId);
    if (!pointer) {
      if (pointers.size > 0 || event.pointerType === "touch") return;
      if (resting && Math.hypot(at.x - resting.x, at.y - resting.y) <= REST) return;
      resting = null;
      events.hover(at);
      return;
    }
    const before = pointer.at;
    if (pointers.size > 1) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1].at ?? at;
      pointer.at = at;
      events.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
      const was = Math.hypot(before.x - other.x, before.y - other.y);
      const is = Math.hypot(at.x - other.x, at.y - other.y);
      if (was > 0 && is > 0)
        events.zoom({ x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 }, is / was, false);
      return;
    }
    if (!moved && !far(at, pointer.from, event.pointerType)) return;
    moved = true;
    pointer.at = at;
    last = { dx: at.x - before.x, dy: at.y - before.y, when: event.timeStamp };
    if (grabbed) events.drag(at);
    else events.pan(last.dx, last.dy);
  }

  function up(event: PointerEvent): void {
    const pointer = pointers.get(event.pointerId);
    if (!pointer) return;
    pointers.delete(event.pointerId);
    if (pointers.size > 0) return;
    if (grabbed) events.drop();
    grabbed = false;
    if (moved) {
      resting = pointer.at;
      events.hover(null);
      if (event.type === "pointerup" && event.timeStamp - last.when < FLING_MS)
        events.fling(last.dx, last.dy);
      return;
    }
    if (event.type !== "pointerup") return;
    const twice =
      event.timeStamp - clicked.when < DOUBLE_MS && !far(pointer.at, clicked.at, event.pointerType);
    clicked = { at: pointer.at, when: twice ? Number.NEGATIVE_INFINITY : event.timeStamp };
    if (twice) events.doubleClick(pointer.at);
    else events.click(pointer.at, event.pointerType === "touch");
  }

  function leave(): void {
    if (pointers.size === 0) events.hover(null);
  }

  function wheel(event: WheelEvent): void {
    event.preventDefault();
    const delta = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : LINE_PX);
    const most = NOTCHES_MOST * 110;
    const bounded = Math.max(-most, Math.min(most, delta));
    // A touchpad sends many small steps and is smooth by itself.
    const small = Math.abs(bounded) <= 40;
    events.zoom(spotOf(event), Math.exp(-bounded * (event.ctrlKey && small ? PINCH : WHEEL)), !small);
  }

  target.style.touchAction = "none";
  target.style.userSelect = "none";
  target.addEventListener("pointerdown", down);
  target.addEventListener("pointermove", move);
  target.addEventListener("pointerup", up);
  target.addEventListener("pointercancel", up);
  target.addEventListener("pointerleave", leave);
  target.addEventListener("wheel", wheel, { passive: false });
  return () => {
    target.removeEventListener("pointerdown", down);
    target.removeEventListener("pointermove", move);
    target.removeEventListener("pointerup", up);
    target.removeEventListener("pointercancel", up);
    target.removeEventListener("pointerleave", leave);
    target.removeEventListener("wheel", wheel);
  };
}
