/**
 * Stage 4: what is seen, and what a hand does with it. Knows nothing of React. Invariants: only `setData` and a drag change where things
 * stand, so nothing moves when something is added; at most one drawing per frame, and none when nothing has changed.
 */
import { type Camera, fitting, SCALE_MAX, type Size, showing, toMap } from "./camera";
import { Eye } from "./eye";
import { listen } from "./gestures";
import type { View } from "./gl";
import type { Group } from "./group";
import { FAR_RADIUS } from "./labels";
import type { Place } from "./layout";
import type { MapModel } from "./model";
import { type MapPalette, readPalette } from "./palette";
import { type Frame, givePixels, type Pixels, takePixels } from "./pixels";
import { type Outline, RADIUS, Scene } from "./scene";
import { Speech } from "./speech";
import { type GroupWords, SMALLEST_PX } from "./wording";

/** A node can be caught a little beside its disc; by a finger, farther. */
const CATCH = { mouse: 1.2, touch: 1.7 };
/** On a screen as narrow as a phone's the first view shows names, not everything. */
const NARROW = 600;
const NAMES_SCALE = (FAR_RADIUS / RADIUS) * 1.5;
/** Here each network speaks by a card. */
const CARDS_SCALE = (FAR_RADIUS / RADIUS) * 0.8;
/** A picture that takes two frames longer than so to draw anew is stretched while one zooms. */
const SLOW_MS = 60;

export interface RendererEvents {
  select(id: string | null): void;
  moved(id: string, place: Place): void;
  /** Once: all nodes have been drawn, and the GPU is done with it. */
  drawn(): void;
  /** The group that one looks at, when nothing on the map says which it is. */
  where(group: Group | null): void;
}

export class MapRenderer {
  private readonly pixels: Pixels = takePixels();
  private readonly scene = new Scene();
  private readonly speech: Speech;
  private readonly eye: Eye;
  private colors: MapPalette = readPalette();
  private groupsShown = true;
  private hovered: string | null = null;
  private selected: string | null = null;
  private cursor: string | null = null;
  /** What was centered last, and where the eye went for it. */
  private centered: { id: string; covered: number; goal: Camera } | null = null;
  private dragging: { id: string; dx: number; dy: number; moved: boolean } | null = null;
  /** Changes with what the picture is made of, beside the scene. */
  private look = 0;
  private frame = 0;
  /** Drawing all of the picture anew takes longer than a hand waits. */
  private slow = false;
  private told = false;
  private where: Group | null = null;
  private killed = false;
  private readonly observer: ResizeObserver;
  private readonly deaf: () => void;

  constructor(
    private readonly container: HTMLElement,
    private readonly events: RendererEvents,
    words: GroupWords,
    private readonly mayDrag: () => boolean,
  ) {
    this.speech = new Speech(words);
    this.eye = new Eye(sizeOf(container), () => this.redraw());
    container.append(this.pixels.canvas);
    this.pixels.onRestored = () => {
      this.pixels.setGround(this.scene.rims);
      this.repaint();
    };
    this.pixels.programs.words.forget();
    this.deaf = listen(container, {
      grab: (spot, touch) => this.grab(spot, touch),
      drag: (spot) => this.drag(spot),
      drop: () => this.drop(),
      pan: (dx, dy) => this.eye.look(this.eye.beside(dx, dy)),
      fling: (dx, dy) => this.eye.glide(this.eye.beside(3 * dx, 3 * dy), 200),
      zoom: (spot, factor, smooth) => this.eye.zoomAt(spot, factor, smooth),
      click: (spot, touch) => this.click(spot, touch),
      doubleClick: (spot) => this.doubleClick(spot),
      hover: (spot) => this.hover(spot),
    });
    this.observer = new ResizeObserver(() => {
      const size = sizeOf(container);
      if (size.width === this.eye.size.width && size.height === this.eye.size.height) return;
      this.eye.size = size;
      this.setRange();
      if (this.centered?.goal === this.eye.goal) this.center(this.centered.id, this.centered.covered);
      // A canvas of a new size is empty: it is drawn to before anybody sees it.
      this.draw();
    });
    this.observer.observe(container);
    document.fonts.addEventListener("loadingdone", this.refont);
  }

  private readonly refont = (): void => {
    this.speech.forget();
    this.pixels.programs.words.forget();
    this.redraw();
  };

  // ---- what there is ----

  setData(model: MapModel, places: ReadonlyMap<string, Place>, groups: readonly Group[]): void {
    this.scene.set(model, places, groups, this.dragging?.id ?? null);
    this.pixels.setGround(this.scene.rims);
    this.setRange();
    this.redraw();
  }

  /** One may go as far as shows everything, by cards too, and as near as makes a node 96 pixels wide. */
  private setRange(): void {
    const all = fitting(this.scene.nodes.values(), this.eye.size);
    this.eye.range = { min: Math.min(all?.scale ?? 1, CARDS_SCALE), max: SCALE_MAX };
  }

  setMatches(ids: ReadonlySet<string> | null): void {
    this.scene.setMatches(ids);
    this.redraw();
  }

  setSelected(id: string | null): void {
    this.selected = id;
    this.redraw();
  }

  setCursor(id: string | null): void {
    this.cursor = id;
    this.redraw();
  }

  setGroupsShown(shown: boolean): void {
    if (this.groupsShown === shown) return;
    this.groupsShown = shown;
    this.repaint();
  }

  refreshColors(): void {
    const colors = readPalette();
    if (JSON.stringify(colors) === JSON.stringify(this.colors)) return;
    this.colors = colors;
    this.pixels.programs.words.forget();
    this.repaint();
  }

  neighbors(id: string): ReadonlySet<string> {
    return this.scene.neighbors(id);
  }

  // ---- drawing ----

  private repaint(): void {
    this.look += 1;
    this.redraw();
  }

  private redraw(): void {
    this.frame ||= requestAnimationFrame((now) => {
      this.frame = 0;
      this.eye.step(now);
      const before = this.pixels.wholes;
      this.draw();
      if (this.pixels.wholes > before) this.time(now);
    });
  }

  /** How long the picture took, as the next frames tell: asking the GPU would make it wait. */
  private time(began: number): void {
    requestAnimationFrame(() =>
      requestAnimationFrame((now) => {
        this.slow = now - began > SLOW_MS;
      }),
    );
  }

  private draw(): void {
    const { eye, scene, pixels, colors } = this;
    if (this.killed || eye.size.width === 0 || eye.size.height === 0) return;
    const wanted: View = { camera: eye.camera, size: eye.size, ratio: devicePixelRatio || 1 };
    const { hovered, selected, cursor, dragging } = this;
    const focus = { hovered, selected, cursor, dragged: dragging?.moved ? dragging.id : null };
    const lit = scene.lit(focus);
    const frame: Frame = {
      view: wanted,
      colors,
      radius: RADIUS,
      ground: this.groupsShown,
      base: scene.base(),
      // Both only grow, so their sum is new when one of them is.
      version: this.look + scene.version,
      above: scene.above(focus, lit),
      baseAlpha: scene.baseAlpha(lit),
      hasty: eye.moving && this.slow,
    };
    const view = pixels.bring(frame);
    this.speech.say(view, pixels.programs.words, colors, scene, focus, lit, this.groupsShown);
    if (this.where !== this.speech.where) {
      this.where = this.speech.where;
      this.events.where(this.where);
    }
    pixels.draw(frame, view);
    if (pixels.programs.words.unsaid) this.redraw();
    if (!this.told && scene.nodes.size > 0) {
      this.told = true;
      pixels.whenDone(() => {
        if (this.killed) return;
        this.events.drawn();
        pixels.prepare(this.colors, RADIUS);
      });
    }
  }

  // ---- what a hand does ----

  private at(spot: Place, touch = false) {
    const { camera, size } = this.eye;
    const reach = touch ? CATCH.touch : CATCH.mouse;
    return this.scene.at(toMap(camera, size, spot), SMALLEST_PX / camera.scale, reach);
  }

  private hover(spot: Place | null): void {
    const card = spot ? this.speech.cardAt(spot) : undefined;
    const id = spot && !card ? (this.at(spot)?.id ?? null) : null;
    this.container.style.cursor = id || card ? "pointer" : "";
    if (this.hovered === id) return;
    this.hovered = id;
    this.redraw();
  }

  private click(spot: Place, touch: boolean): void {
    const card = this.speech.cardAt(spot);
    if (card) this.open(card.outline);
    else this.events.select(this.at(spot, touch)?.id ?? null);
  }

  private doubleClick(spot: Place): void {
    const under = this.at(spot);
    if (under) this.center(under.id);
    else this.eye.zoomAt(spot, 2, true);
  }

  /** Shows a group as large as its nodes can speak. */
  private open({ left, right, bottom, top }: Outline): void {
    const { size } = this.eye;
    const corners = [
      { x: left, y: bottom },
      { x: right, y: top },
    ];
    const all = fitting(corners, size);
    if (!all) return;
    const near = (FAR_RADIUS / RADIUS) * 1.05;
    this.eye.glide({ ...all, scale: Math.max(all.scale, near) }, 150);
  }

  /** A finger pans, whatever is under it; only what is chosen is in its hand. */
  private grab(spot: Place, touch: boolean): boolean {
    this.eye.stop();
    if (!this.mayDrag() || this.speech.cardAt(spot)) return false;
    const under = this.at(spot, touch);
    if (!under || (touch && under.id !== this.selected)) return false;
    const at = toMap(this.eye.camera, this.eye.size, spot);
    this.dragging = { id: under.id, dx: under.x - at.x, dy: under.y - at.y, moved: false };
    return true;
  }

  private drag(spot: Place): void {
    const drag = this.dragging;
    const node = drag ? this.scene.nodes.get(drag.id) : undefined;
    if (!drag || !node) return;
    const at = toMap(this.eye.camera, this.eye.size, spot);
    drag.moved = true;
    this.hovered = null;
    this.scene.lift(drag.id);
    node.x = at.x + drag.dx;
    node.y = at.y + drag.dy;
    this.redraw();
  }

  private drop(): void {
    const drag = this.dragging;
    this.dragging = null;
    this.scene.lift(null);
    const node = drag ? this.scene.nodes.get(drag.id) : undefined;
    if (!drag?.moved || !node) return;
    node.pinned = true;
    this.redraw();
    this.events.moved(node.id, { x: node.x, y: node.y });
  }

  // ---- where one looks from ----

  /** Shows everything; at first, on a phone, the largest group with the names of its nodes. */
  begin(): void {
    const all = fitting(this.scene.nodes.values(), this.eye.size);
    if (!all) return;
    if (this.eye.size.width >= NARROW || all.scale >= NAMES_SCALE) {
      this.eye.look(all);
      return;
    }
    const largest = this.scene.outlines.reduce<Outline | null>(
      (best, one) => (!best || one.group.members.length > best.group.members.length ? one : best),
      null,
    );
    if (!largest) return;
    const { left, right, bottom, top } = largest;
    this.eye.look({ x: (left + right) / 2, y: (bottom + top) / 2, scale: NAMES_SCALE });
  }

  fit(): void {
    const to = fitting(this.scene.nodes.values(), this.eye.size);
    if (to) this.eye.glide(to, 150);
  }

  /** Into the middle of what is not `covered` at the foot, near enough to be read; also when the height changes before anybody moves on. */
  center(id: string, covered = 0): void {
    const node = this.scene.nodes.get(id);
    const { camera } = this.eye;
    if (!node) return;
    const scale = Math.max(camera.scale, 0.9);
    const goal = { x: node.x, y: node.y - (covered * this.eye.size.height) / 2 / scale, scale };
    this.eye.glide(goal, 150);
    this.centered = { id, covered, goal: this.eye.goal };
  }

  /** Into view, if it is not there. `covered`: the part of the height, at the foot, that something else covers. */
  reveal(id: string, covered = 0): void {
    const node = this.scene.nodes.get(id);
    if (!node) return;
    const to: Camera | null = showing(this.eye.goal, this.eye.size, node, 60, covered * this.eye.size.height);
    if (to) this.eye.glide(to, 150);
  }

  zoom(factor: number): void {
    this.eye.zoom(factor);
  }

  kill(): void {
    this.killed = true;
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.deaf();
    this.eye.kill();
    document.fonts.removeEventListener("loadingdone", this.refont);
    givePixels(this.pixels);
  }
}

function sizeOf(element: HTMLElement): Size {
  return { width: element.clientWidth, height: element.clientHeight };
}
