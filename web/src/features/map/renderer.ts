/**
 * Stage 4: what is seen, and what a hand does with it. Owns the camera and the looks; knows nothing of React. Invariants:
 * only `setData` and a drag change where things stand, so nothing moves when something is added; at most one drawing
 * per frame, and none when nothing has changed.
 */
import type { MapLink, MapNode } from "#/api/schema";
import { drawingOf } from "#/domain/icons";
import { between, type Camera, fitting, type Size, toMap, toScreen, zoomedAt } from "./camera";
import { cardWidth, cardWords, titleWords } from "./cards";
import { listen } from "./gestures";
import type { View } from "./gl";
import type { Group } from "./group";
import { hull, type Rim, rimOf } from "./hull";
import { FAR_RADIUS, hoverWords, labelLines, lineHeight, lineWords } from "./labels";
import { isHub, type Place, SPACING } from "./layout";
import type { LinkLook } from "./link-program";
import { isPinned, type MapModel } from "./model";
import type { NodeLook } from "./node-program";
import { type MapPalette, readPalette } from "./palette";
import { givePixels, type Pixels, takePixels } from "./pixels";

const RADIUS = 14;
const HUB_RADIUS = 18;
/** From the outermost nodes of a group to its outline, in map units. */
const PAD = SPACING * 0.62;
const DIM = 0.16;
/** A node can be caught a little beside its disc. */
const CATCH = 1.2;
const SMALLEST_PX = 3;

export interface RendererEvents {
  select(id: string | null): void;
  moved(id: string, place: Place): void;
  /** Once: all nodes have been drawn, and the GPU is done with it. */
  drawn(): void;
}

export interface GroupWords {
  /** With the network's range, or short, for where there is little room. */
  title(group: Group, short: boolean): string;
  summary(group: Group): string;
}

/** A node where it stands; a drag may have moved it from its place in the model. */
interface Standing {
  id: string;
  x: number;
  y: number;
  radius: number;
  node: MapNode;
  pinned: boolean;
}
interface Outline {
  group: Group;
  center: Place;
  top: Place;
  title: string;
  short: string;
  summary: string;
}

export class MapRenderer {
  private readonly pixels: Pixels = takePixels();
  private nodes = new Map<string, Standing>();
  private links: readonly MapLink[] = [];
  private outlines: Outline[] = [];
  private rims: Rim[] = [];
  private camera: Camera = { x: 0, y: 0, scale: 1 };
  private size: Size;
  private colors: MapPalette = readPalette();
  private groupsShown = true;
  private hovered: string | null = null;
  private selected: string | null = null;
  private cursor: string | null = null;
  private matches: ReadonlySet<string> | null = null;
  /** What is hovered and its neighbors. */
  private lit: ReadonlySet<string> | null = null;
  private dragging: { id: string; dx: number; dy: number; moved: boolean } | null = null;
  /** The looks in GPU memory are no longer true. */
  private stale = true;
  private frame = 0;
  private way: { from: Camera; to: Camera; began: number; length: number } | null = null;
  private told = false;
  private killed = false;
  private readonly observer: ResizeObserver;
  private readonly deaf: () => void;
  private readonly widths = new Map<string, number>();
  private readonly ruler = document.createElement("canvas").getContext("2d");

  constructor(
    private readonly container: HTMLElement,
    private readonly events: RendererEvents,
    private readonly words: GroupWords,
  ) {
    this.size = { width: container.clientWidth, height: container.clientHeight };
    container.append(this.pixels.canvas);
    this.pixels.onRestored = () => {
      this.giveGround();
      this.change();
    };
    this.pixels.programs.words.forget();
    this.deaf = listen(container, {
      grab: (spot) => this.grab(spot),
      drag: (spot) => this.drag(spot),
      drop: () => this.drop(),
      pan: (dx, dy) => this.look({ ...this.camera, ...this.beside(dx, dy) }),
      fling: (dx, dy) => this.glide({ ...this.camera, ...this.beside(3 * dx, 3 * dy) }, 200),
      zoom: (spot, factor, smooth) => {
        const from = smooth && this.way ? this.way.to : this.camera;
        const to = zoomedAt(from, this.size, spot, factor);
        if (smooth) this.glide(to, 120);
        else this.look(to);
      },
      click: (spot) => this.events.select(this.at(spot)?.id ?? null),
      doubleClick: (spot) => {
        if (!this.at(spot)) this.glide(zoomedAt(this.camera, this.size, spot, 2.2), 150);
      },
      hover: (spot) => this.hover(spot ? (this.at(spot)?.id ?? null) : null),
    });
    this.observer = new ResizeObserver(() => {
      const size = { width: container.clientWidth, height: container.clientHeight };
      if (size.width === this.size.width && size.height === this.size.height) return;
      this.size = size;
      // A canvas of a new size is empty: it is drawn to before anybody sees it.
      this.draw();
    });
    this.observer.observe(container);
    document.fonts.addEventListener("loadingdone", this.refont);
  }

  private readonly refont = (): void => {
    this.widths.clear();
    this.pixels.programs.words.forget();
    this.redraw();
  };

  // ---- what there is ----

  setData(model: MapModel, places: ReadonlyMap<string, Place>, groups: readonly Group[]): void {
    const nodes = new Map<string, Standing>();
    for (const node of model.nodes.values()) {
      const place = this.dragging?.id === node.id ? this.nodes.get(node.id) : places.get(node.id);
      if (!place) continue;
      const radius = isHub(node.role) ? HUB_RADIUS : RADIUS;
      nodes.set(node.id, { id: node.id, x: place.x, y: place.y, radius, node, pinned: isPinned(node) });
    }
    this.nodes = nodes;
    this.links = [...model.links.values()].filter((link) => nodes.has(link.a) && nodes.has(link.b));
    this.setGroups(groups, places);
    this.change();
  }

  private setGroups(groups: readonly Group[], places: ReadonlyMap<string, Place>): void {
    this.outlines = [];
    this.rims = [];
    for (const group of groups) {
      const members = group.members
        .map((node) => places.get(node.id))
        .filter((place): place is Place => !!place);
      if (members.length === 0) continue;
      const corners = hull(members);
      const center = {
        x: members.reduce((sum, place) => sum + place.x, 0) / members.length,
        y: members.reduce((sum, place) => sum + place.y, 0) / members.length,
      };
      this.outlines.push({
        group,
        center,
        top: { x: center.x, y: Math.max(...corners.map((place) => place.y)) + PAD },
        title: this.words.title(group, false),
        short: this.words.title(group, true),
        summary: this.words.summary(group),
      });
      // What belongs to no network has no ground of its own.
      if (group.id) this.rims.push(rimOf(corners, PAD));
    }
    this.giveGround();
  }

  private giveGround(): void {
    this.pixels.programs.ground.set(this.rims);
  }

  // ---- what it looks like ----

  /** The looks of things have changed. */
  private change(): void {
    this.stale = true;
    this.redraw();
  }

  private redraw(): void {
    this.frame ||= requestAnimationFrame((now) => {
      this.frame = 0;
      this.step(now);
      this.draw();
    });
  }

  private draw(): void {
    if (this.killed || this.size.width === 0 || this.size.height === 0) return;
    if (this.stale) this.giveLooks();
    const view: View = { camera: this.camera, size: this.size, ratio: devicePixelRatio || 1 };
    this.speak(view);
    this.pixels.draw(view, this.colors, RADIUS, this.groupsShown);
    if (this.pixels.programs.words.unsaid) this.redraw();
    if (!this.told && this.nodes.size > 0) {
      this.told = true;
      this.pixels.whenDone(() => {
        if (!this.killed) this.events.drawn();
      });
    }
  }

  private giveLooks(): void {
    this.stale = false;
    const { nodes, hovered, selected, cursor, matches } = this;
    const lit = hovered && nodes.has(hovered) ? new Set([hovered, ...this.neighbors(hovered)]) : null;
    const looks: NodeLook[] = [];
    const above: NodeLook[] = [];
    for (const { id, x, y, radius, node, pinned } of nodes.values()) {
      const marked = id === selected || id === cursor;
      const look = {
        x,
        y,
        size: radius,
        icon: drawingOf(node.kind, node.role).index,
        status: node.status,
        pinned,
        marked,
        alpha: this.isDim(id, lit) ? DIM : 1,
      };
      (marked || id === hovered || id === this.dragging?.id ? above : looks).push(look);
    }
    this.pixels.programs.nodes.set([...looks, ...above]);

    const focus = hovered ?? selected;
    const lines: LinkLook[] = [];
    for (const link of this.links) {
      const from = nodes.get(link.a);
      const to = nodes.get(link.b);
      if (!from || !to) continue;
      const strong = !!focus && (link.a === focus || link.b === focus);
      const dim = (lit && !strong) || (matches && !(matches.has(link.a) && matches.has(link.b)));
      lines.push({ from, to, evidence: link.evidence, strong, alpha: dim ? DIM * 0.8 : 1 });
    }
    this.pixels.programs.links.set(lines);
    this.lit = lit;
  }

  private isDim(id: string, lit: ReadonlySet<string> | null): boolean {
    return (!!lit && !lit.has(id)) || (!!this.matches && !this.matches.has(id));
  }

  private readonly measure = (text: string, font: string): number => {
    const key = `${font}|${text}`;
    let width = this.widths.get(key);
    if (width === undefined) {
      if (this.ruler) this.ruler.font = font;
      width = this.ruler?.measureText(text).width ?? 0;
      if (this.widths.size > 20_000) this.widths.clear();
      this.widths.set(key, width);
    }
    return width;
  };

  /** All words of this frame, by how near one looks. */
  private speak(view: View): void {
    const { camera, size, colors, measure } = this;
    const sheet = this.pixels.programs.words;
    sheet.begin(view.ratio);
    const plain = RADIUS * camera.scale;
    if (plain >= FAR_RADIUS) {
      for (const { id, x, y, radius, node } of this.nodes.values()) {
        const spot = toScreen(camera, size, { x, y });
        const top = spot.y + radius * camera.scale * 1.22 + 3;
        if (spot.x < -160 || spot.x > size.width + 160 || top < -120 || top > size.height) continue;
        const alpha = this.isDim(id, this.lit) ? DIM : 1;
        let line = top;
        for (const { text, mono } of labelLines(node, plain)) {
          sheet.say(`${mono ? "a" : "n"}|${text}`, spot.x, line, alpha, () =>
            lineWords(text, mono, measure, colors),
          );
          line += lineHeight(mono);
        }
      }
    }
    if (this.groupsShown) for (const outline of this.outlines) this.speakFor(outline, plain < FAR_RADIUS);
    const under = this.hovered ? this.nodes.get(this.hovered) : undefined;
    if (under) {
      const { node } = under;
      const address = node.addresses[0] && node.addresses[0] !== node.name ? node.addresses[0] : "";
      const spot = toScreen(camera, size, under);
      const radius = Math.max(SMALLEST_PX, under.radius * camera.scale);
      sheet.say(`h|${node.name}|${address}`, spot.x, spot.y + radius * 1.22 + 2, 1, () =>
        hoverWords(node.name, address, measure, colors),
      );
    }
  }

  private speakFor({ group, center, top, title, short, summary }: Outline, far: boolean): void {
    const { camera, size, colors, measure } = this;
    const sheet = this.pixels.programs.words;
    if (far) {
      const spot = toScreen(camera, size, center);
      if (spot.x > 0 && spot.x < size.width) {
        // A group whose middle is on screen keeps its words on screen.
        const room = cardWidth(short, summary, measure) / 2 + 6;
        spot.x = Math.max(room, Math.min(size.width - room, spot.x));
      }
      sheet.say(`c|${short}|${summary}|${group.worst}`, spot.x, spot.y, 1, () =>
        cardWords(short, summary, group.worst, measure, colors),
      );
    } else if (group.id) {
      const spot = toScreen(camera, size, top);
      sheet.say(`t|${title}`, spot.x, spot.y - 5, 1, () => titleWords(title, measure, colors));
    }
  }

  setSelected(id: string | null): void {
    if (this.selected === id) return;
    this.selected = id;
    this.change();
  }

  setCursor(id: string | null): void {
    if (this.cursor === id) return;
    this.cursor = id;
    this.change();
  }

  /** Nodes that a search found; null when nothing is searched for. */
  setMatches(ids: ReadonlySet<string> | null): void {
    if (this.matches === ids) return;
    this.matches = ids;
    this.change();
  }

  setGroupsShown(shown: boolean): void {
    if (this.groupsShown === shown) return;
    this.groupsShown = shown;
    this.redraw();
  }

  refreshColors(): void {
    const colors = readPalette();
    if (JSON.stringify(colors) === JSON.stringify(this.colors)) return;
    this.colors = colors;
    this.pixels.programs.words.forget();
    this.redraw();
  }

  neighbors(id: string): ReadonlySet<string> {
    const near = new Set<string>();
    for (const { a, b } of this.links) {
      if (a === id) near.add(b);
      else if (b === id) near.add(a);
    }
    return near;
  }

  // ---- what a hand does ----

  /** The topmost node under a spot of the picture. */
  private at(spot: Place): Standing | null {
    const { x, y } = toMap(this.camera, this.size, spot);
    const smallest = SMALLEST_PX / this.camera.scale;
    let found: Standing | null = null;
    for (const one of this.nodes.values()) {
      if (Math.hypot(one.x - x, one.y - y) <= CATCH * Math.max(one.radius, smallest)) found = one;
    }
    return found;
  }

  private hover(id: string | null): void {
    if (this.hovered === id) return;
    this.hovered = id;
    this.container.style.cursor = id ? "pointer" : "";
    this.change();
  }

  private grab(spot: Place): boolean {
    this.way = null;
    const under = this.at(spot);
    if (!under) return false;
    const at = toMap(this.camera, this.size, spot);
    this.dragging = { id: under.id, dx: under.x - at.x, dy: under.y - at.y, moved: false };
    return true;
  }

  private drag(spot: Place): void {
    const drag = this.dragging;
    const node = drag ? this.nodes.get(drag.id) : undefined;
    if (!drag || !node) return;
    const at = toMap(this.camera, this.size, spot);
    drag.moved = true;
    node.x = at.x + drag.dx;
    node.y = at.y + drag.dy;
    this.change();
  }

  private drop(): void {
    const drag = this.dragging;
    this.dragging = null;
    const node = drag ? this.nodes.get(drag.id) : undefined;
    if (!drag?.moved || !node) return;
    node.pinned = true;
    this.change();
    this.events.moved(node.id, { x: node.x, y: node.y });
  }

  // ---- where one looks from ----

  private beside(dx: number, dy: number): Place {
    const { x, y, scale } = this.camera;
    return { x: x - dx / scale, y: y + dy / scale };
  }

  private look(camera: Camera): void {
    this.way = null;
    this.camera = camera;
    this.redraw();
  }

  private glide(to: Camera, length: number): void {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
      this.look(to);
      return;
    }
    this.way = { from: this.camera, to, began: performance.now(), length };
    this.redraw();
  }

  private step(now: number): void {
    const { way } = this;
    if (!way) return;
    const part = Math.min(1, Math.max(0, (now - way.began) / way.length));
    this.camera = between(way.from, way.to, part * (2 - part));
    if (part < 1) this.redraw();
    else this.way = null;
  }

  /** Shows everything. */
  fit(animate = true): void {
    const to = fitting(this.nodes.values(), this.size);
    if (to && animate) this.glide(to, 150);
    else if (to) this.look(to);
  }

  focusOn(id: string): void {
    const node = this.nodes.get(id);
    if (node) this.glide({ x: node.x, y: node.y, scale: Math.max(this.camera.scale, 0.9) }, 150);
  }

  zoom(factor: number): void {
    const middle = { x: this.size.width / 2, y: this.size.height / 2 };
    this.glide(zoomedAt(this.way?.to ?? this.camera, this.size, middle, factor), 120);
  }

  kill(): void {
    this.killed = true;
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    this.deaf();
    document.fonts.removeEventListener("loadingdone", this.refont);
    givePixels(this.pixels);
  }
}
