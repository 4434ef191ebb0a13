/**
 * What the map says in one view, and where. Pure: it knows widths of texts, but draws nothing. Invariants: no name, title or
 * card covers a node, and none covers another; a name that a link runs through has a plate behind it. Room goes to what is chosen, to gateways and to this server first, then to
 * groups, then to the other nodes; what finds no room says less, and in the end nothing.
 */
import { type Camera, type Size, toMap, toScreen } from "./camera";
import {
  type Card,
  type CardSpot,
  cardSize,
  GROUP_TITLE,
  type Measure,
  placeCards,
  titleMiddle,
} from "./cards";
import type { Group } from "./group";
import { FAR_RADIUS, type LabelLine, labelLines, lineFont, lineHeight, linePx } from "./labels";
import type { Place } from "./layout";
import { type Box, Room } from "./room";
import { type Focus, type Outline, RADIUS, type Scene, type Standing } from "./scene";
import type { Area } from "./ways";

/** What the page says about groups and nodes. */
export interface GroupWords {
  /** With the network's range, or short, for where there is little room. */
  title(group: Group, short: boolean): string;
  /** The title, and how many nodes, in little room. */
  counted(group: Group): string;
  /** How many nodes, and which. */
  lines(group: Group): string[];
  /** Of the node that is this server. */
  thisServer(): string;
  /** Which node of a group is its gateway, or this server. */
  landmark(what: "gateway" | "server", name: string): string;
}

/** Widths of texts, and names in so little room. */
export interface Type {
  measure: Measure;
  nameIn(name: string, width: number, most: number, free: () => number): readonly string[];
}

/** One line of a name; its spot is the middle of its upper edge. */
interface SaidLine extends LabelLine, Place {
  of: Standing;
  box: Box;
  /** A link runs here: the name covers it. */
  plate: boolean;
}
/** Lines of a name, and narrower ones that say the name as fully. */
interface Form {
  lines: readonly LabelLine[];
  narrow?(): readonly LabelLine[] | null;
}
interface Try {
  lines: readonly LabelLine[];
  spot: Place;
}
interface SaidTitle extends Place {
  text: string;
  box: Box;
}
/** A card and its outline: a click on it opens that. */
export interface SaidCard extends CardSpot {
  card: Card;
  outline: Outline;
}
export interface Wording {
  lines: SaidLine[];
  titles: SaidTitle[];
  cards: SaidCard[];
  /** The group that one looks at, when nothing on the map says which it is. */
  where: Group | null;
}

/** On screen no node is smaller. */
export const SMALLEST_PX = 3;
/** Screens that are narrower get small cards. */
const NARROW = 600;
/** Pixels between two names that follow each other. */
const NAMES_APART = 4;
const FAR_NAME = 150;
/** So many pixels a gateway's name may take from its neighbors. */
const LANDMARK = 90;
/** Names of nodes so far beside the screen reach into it. */
const BESIDE = 160;
const ABOVE = 120;
/** Of the strip that says where one is: see `canvas.tsx`. */
const STRIP = 30;
/** A group that has less of the screen is not where one is. */
const MOST = 0.3;

export function wordingOf(
  view: { camera: Camera; size: Size },
  scene: Scene,
  focus: Focus,
  groups: boolean,
  words: GroupWords,
  type: Type,
): Wording {
  const said = new Writer(view, scene, focus, words, type).write(groups, false);
  // What lies under the strip would not be read.
  if (!said.where || RADIUS * view.camera.scale >= FAR_RADIUS) return said;
  const below = new Writer(view, scene, focus, words, type).write(groups, true);
  return { ...below, where: said.where };
}

class Writer {
  private readonly room: Room;
  private readonly lines: SaidLine[] = [];
  private readonly named = new Set<string>();
  private readonly known = new Set<string>();
  private readonly far: boolean;

  constructor(
    private readonly view: { camera: Camera; size: Size },
    private readonly scene: Scene,
    private readonly focus: Focus,
    private readonly words: GroupWords,
    private readonly type: Type,
  ) {
    this.room = new Room(view.size);
    this.far = RADIUS * view.camera.scale < FAR_RADIUS;
  }

  write(groups: boolean, strip: boolean): Wording {
    const { scene, far } = this;
    const { selected, cursor } = this.focus;
    // Far away only few nodes speak, and without groups nothing but what is chosen.
    if (!far || groups) this.stand();
    if (strip) this.room.take({ x: 0, y: 0, width: this.view.size.width, height: STRIP });
    const dim: Standing[] = [];
    const name = (one: Standing | undefined, late = false) => {
      if (!one || this.named.has(one.id)) return;
      if (!late && scene.isMissed(one.id)) dim.push(one);
      else this.name(one);
    };
    if (far && !groups) return { lines: [], titles: [], cards: [], where: null };
    for (const id of [selected, cursor]) if (id) name(scene.nodes.get(id), true);
    const [gateways = [], servers = [], hubs = [], others = []] = scene.ranks;
    for (const one of gateways) name(one);
    for (const one of servers) name(one);
    const cards = groups && far ? this.cards() : [];
    const titles = groups && !far ? this.titles() : [];
    for (const one of hubs) if (!far || this.known.has(one.group)) name(one);
    if (!far) for (const one of others) name(one);
    for (const one of dim) name(one, true);
    return { lines: this.lines, titles, cards, where: groups ? this.where() : null };
  }

  private stand(): void {
    const { camera, size } = this.view;
    for (const one of this.scene.nodes.values()) {
      const { x, y } = toScreen(camera, size, one);
      if (onScreen({ x, y }, size, 240)) this.room.stand(x, y, this.radius(one));
    }
  }

  private radius({ radius }: Standing): number {
    return Math.max(SMALLEST_PX, radius * this.view.camera.scale);
  }

  // ---- names ----

  private name(one: Standing): void {
    const { camera, size } = this.view;
    const { x, y } = toScreen(camera, size, one);
    if (x < -BESIDE || x > size.width + BESIDE || y < -ABOVE || y > size.height + 20) return;
    this.named.add(one.id);
    const radius = this.radius(one);
    for (const form of this.far ? this.farTries(one) : this.nearTries(one))
      if (this.say(one, this.spots(one, { x, y }, radius, form))) return;
    this.named.delete(one.id);
  }

  /** How far under a node its name begins: as near to a hub as to any other node, so that it too ends above the lane of the next row. */
  private under({ id }: Standing, radius: number): number {
    const { selected, cursor } = this.focus;
    const mark = id === selected || id === cursor ? radius * 1.39 + 1 : radius * 1.16 + 1;
    return Math.max(Math.max(SMALLEST_PX, RADIUS * this.view.camera.scale) * 1.22 + 3, mark);
  }

  /** The best first: another form below the node is better than another side. */
  private *spots(one: Standing, { x, y }: Place, radius: number, { lines, narrow }: Form): Iterable<Try> {
    const below = { x, y: y + this.under(one, radius) };
    yield { lines, spot: below };
    const other = narrow?.();
    if (other) yield { lines: other, spot: below };
    const height = lines.reduce((sum, { mono }) => sum + lineHeight(mono), 0);
    const wide = Math.max(0, ...lines.map((line) => this.wide(line)));
    const sides = this.far ? { above: true, left: true, right: true } : this.scene.freeSides(one.id);
    const [off, middle] = [radius + 5 + wide / 2, y - height / 2 + 2];
    if (sides.above) yield { lines, spot: { x, y: y - radius * 1.16 - 3 - height } };
    if (sides.right) yield { lines, spot: { x: x + off, y: middle } };
    if (sides.left) yield { lines, spot: { x: x - off, y: middle } };
  }

  /** Says the first of these that no link crosses, else the first that has room at all. */
  private say(one: Standing, tries: Iterable<Try>): boolean {
    let best: SaidLine[] | null = null;
    for (const { lines, spot } of tries) {
      const said = this.fit(one, lines, spot);
      if (!said) continue;
      const free = !said.some(({ plate }) => plate);
      if (free || !best) best = said;
      if (free) break;
    }
    if (!best) return false;
    const { dragged } = this.focus;
    for (const line of best) {
      this.room.take(line.box);
      // A name does not jump away from what is dragged over it.
      const plate = line.plate || (!!dragged && this.scene.isCrossedBy(dragged, this.areaOf(line.box)));
      this.lines.push({ ...line, plate });
    }
    return true;
  }

  private areaOf({ x, y, width, height }: Box): Area {
    const { camera, size } = this.view;
    const from = toMap(camera, size, { x, y: y + height });
    const to = toMap(camera, size, { x: x + width, y });
    return { left: from.x, bottom: from.y, right: to.x, top: to.y };
  }

  /** The lines at a spot, if all of them have room there. */
  private fit(one: Standing, lines: readonly LabelLine[], spot: Place): SaidLine[] | null {
    let { y } = spot;
    const { width: right, height: bottom } = this.view.size;
    const said: SaidLine[] = [];
    for (const line of lines) {
      const width = this.wide(line);
      const box = { x: spot.x - width / 2, y: y - 1, width, height: linePx(line.mono) + 2 };
      if (!this.room.isFree(box)) return null;
      // Far away there is mostly another spot, which is whole on the screen.
      if (this.far && (box.x < 0 || box.y < 0 || box.x + width > right || box.y > bottom - 16)) return null;
      const plate = this.scene.isCrossed(this.areaOf(box));
      said.push({ ...line, x: spot.x, y, of: one, box, plate });
      y += lineHeight(line.mono);
    }
    return said.length > 0 ? said : null;
  }

  private wide({ text, mono }: LabelLine): number {
    return this.type.measure(text, lineFont(mono)) + 4;
  }

  /** The fullest first. */
  private *nearTries(one: Standing): Iterable<Form> {
    const { scale } = this.view.camera;
    const { node, id } = one;
    const role = node.server ? this.words.thisServer() : "";
    const nameIn = (width: number, most: number) =>
      this.type.nameIn(node.name, width, most, () => {
        // A neighbor's name takes no more than its usual room here, so that two long ones do not meet.
        const taken = (other: Standing) =>
          Math.min(width, this.type.measure(other.node.name, lineFont(false))) / 2 / scale;
        return 2 * (this.scene.reach(id, taken) * scale - NAMES_APART);
      });
    const plain = RADIUS * scale;
    const lines = labelLines(node, plain, nameIn, role, this.scene.isLowest(id));
    // What one looks for first is named in full, also where its neighbors give way to it.
    if (
      one.rank === 0 &&
      !role &&
      lines.length === 1 &&
      this.type.measure(node.name, lineFont(false)) < LANDMARK
    )
      yield { lines: [{ text: node.name, mono: false }] };
    yield {
      lines,
      // Between the gaps where links run there is room for a name in two lines.
      narrow: () => {
        const within = (width: number, most: number) => this.type.nameIn(node.name, width, most, () => width);
        const narrow = labelLines(node, plain, within, role, this.scene.isLowest(id));
        return lettersOf(narrow) === lettersOf(lines) ? narrow : null;
      },
    };
    const mark: LabelLine[] = role ? [{ text: role, mono: false, mark: true }] : [];
    const [short = node.name] = nameIn(plain * 5.7, 1);
    if (!role) for (let most = lines.length - 1; most > 1; most--) yield { lines: lines.slice(0, most) };
    yield { lines: [{ text: short, mono: false }, ...mark] };
    if (role) yield { lines: mark };
    for (const part of [1, 0.8, 0.6]) {
      const width = plain * 5.7 * part;
      const [text = node.name] = this.type.nameIn(node.name, width, 1, () => width);
      yield { lines: [{ text, mono: false }] };
    }
  }

  private *farTries({ node }: Standing): Iterable<Form> {
    const [text = node.name] = this.type.nameIn(node.name, FAR_NAME, 1, () => FAR_NAME);
    const name: LabelLine = { text, mono: false };
    if (node.server) {
      const mark: LabelLine = { text: this.words.thisServer(), mono: false, mark: true };
      yield { lines: [name, mark] };
      yield { lines: [mark] };
    } else yield { lines: [name] };
  }

  // ---- groups ----

  private titles(): SaidTitle[] {
    const { camera, size } = this.view;
    const titles: SaidTitle[] = [];
    for (const { group, left, right, bottom, top } of this.scene.outlines) {
      if (!group.id) continue;
      const from = toScreen(camera, size, { x: left, y: top });
      const to = toScreen(camera, size, { x: right, y: bottom });
      if (to.x <= 0 || from.x >= size.width || to.y < -40 || from.y > size.height + 40) continue;
      const text = this.words.title(group, false);
      const wide = this.type.measure(text, GROUP_TITLE);
      const x = titleMiddle((from.x + to.x) / 2, wide, size.width);
      for (const y of [from.y - 5, to.y + 20]) {
        const box = { x: x - wide / 2 - 3, y: y - 16, width: wide + 6, height: 18 };
        if (y < -20 || y > size.height + 40 || !this.room.isFree(box, 2)) continue;
        this.room.take(box);
        titles.push({ text, x, y, box });
        if (box.y >= 0 && box.y + box.height <= size.height) this.known.add(group.id);
        break;
      }
    }
    return titles;
  }

  private cards(): SaidCard[] {
    const { camera, size } = this.view;
    const { outlines } = this.scene;
    for (const corner of cornersOf(size)) this.room.take(corner);
    const landmarks = this.landmarks();
    const cards = outlines.map(({ group }): Card[] => {
      const marks = landmarks.get(group.id) ?? [];
      const { worst } = group;
      const title = this.words.counted(group);
      const short = { title, lines: [], worst };
      const some = marks.length > 0 ? [{ title, lines: marks, worst }] : [];
      if (size.width < NARROW) return [...some, short];
      const lines = [...this.words.lines(group), ...marks];
      return [{ title: this.words.title(group, true), lines, worst }, ...some, short];
    });
    const wishes = outlines.map(({ group, left, right, bottom, top }, at) => {
      const corner = toScreen(camera, size, { x: left, y: top });
      const other = toScreen(camera, size, { x: right, y: bottom });
      return {
        left: corner.x,
        top: corner.y,
        right: other.x,
        bottom: other.y,
        weight: group.members.length,
        sizes: (cards[at] ?? []).map((card) => cardSize(card, this.type.measure)),
      };
    });
    const said: SaidCard[] = [];
    for (const spot of placeCards(wishes, size, this.room)) {
      const card = cards[spot.wish]?.[spot.size];
      const outline = outlines[spot.wish];
      if (!card || !outline) continue;
      said.push({ ...spot, card, outline });
      this.known.add(outline.group.id);
    }
    return said;
  }

  /** By group: the gateway and this server, where their names had no room. */
  private landmarks(): Map<string, string[]> {
    const found = new Map<string, string[]>();
    const add = (one: Standing, what: "gateway" | "server") => {
      const among = found.get(one.group) ?? [];
      if (!this.named.has(one.id)) found.set(one.group, [...among, this.words.landmark(what, one.node.name)]);
    };
    const [gateways = [], servers = []] = this.scene.ranks;
    const first = new Set<string>();
    for (const one of gateways)
      if (one.node.server) add(one, "server");
      else if (!first.has(one.group)) {
        first.add(one.group);
        add(one, "gateway");
      }
    for (const one of servers) add(one, "server");
    return found;
  }

  private where(): Group | null {
    const { camera, size } = this.view;
    for (const { group, left, right, bottom, top } of this.scene.outlines) {
      if (!group.id || this.known.has(group.id)) continue;
      const from = toScreen(camera, size, { x: left, y: top });
      const to = toScreen(camera, size, { x: right, y: bottom });
      const holds =
        from.x <= size.width / 2 &&
        to.x >= size.width / 2 &&
        from.y <= size.height / 2 &&
        to.y >= size.height / 2;
      const wide = Math.min(to.x, size.width) - Math.max(from.x, 0);
      const high = Math.min(to.y, size.height) - Math.max(from.y, 0);
      if (holds && wide * high > MOST * size.width * size.height) return group;
    }
    return null;
  }
}

/** What the lines of a name say, however it is broken. */
function lettersOf(lines: readonly LabelLine[]): string {
  return lines
    .filter(({ mono, mark }) => !mono && !mark)
    .map(({ text }) => text.replaceAll(" ", ""))
    .join("");
}

/** The legend and the buttons lie on the map: see `canvas.tsx`. */
function cornersOf({ width, height }: Size): Box[] {
  return [
    { x: 0, y: height - 56, width: 120, height: 56 },
    { x: width - 60, y: height - 210, width: 60, height: 210 },
  ];
}

function onScreen({ x, y }: Place, { width, height }: Size, beyond: number): boolean {
  return x > -beyond && x < width + beyond && y > -beyond && y < height + beyond;
}
