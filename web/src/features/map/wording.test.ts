import { describe, expect, it } from "vitest";
import type { MapNode } from "#/api/schema";
import { type Camera, fitting, type Size, toScreen } from "./camera";
import { groupNodes } from "./group";
import { nameLines } from "./labels";
import { EMPTY_SEATING, type Place, placeOf, settle } from "./layout";
import { LINK_FLOATS } from "./link-program";
import { isPinned, toModel } from "./model";
import { DIM, readPalette } from "./palette";
import { type Box, covers, meets } from "./room";
import { type Focus, RADIUS, Scene } from "./scene";
import { Speech } from "./speech";
import { type GroupWords, SMALLEST_PX, type Type, type Wording, wordingOf } from "./wording";
import type { WordsProgram } from "./words-program";

const words: GroupWords = {
  title: ({ name, cidr }, short) => (short ? name : `${name} ${cidr}`),
  counted: ({ name, members }) => `${name} · ${members.length}`,
  lines: ({ members }) => [`${members.length} nodes, 3 down`, "Camera 4, IoT 3, Laptop 3, …"],
  thisServer: () => "This server",
  landmark: (what, name) => `${what}: ${name}`,
};
const measure = (text: string) => text.length * 6.5;
const type: Type = {
  measure,
  nameIn: (name, width, most, free) =>
    measure(name) <= width ? [name] : nameLines(name, width, most, measure, free()),
};
/** The same numbers in every run. */
function dice(seed: number) {
  let state = seed;
  return (most: number) => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return Math.floor((state / 4_294_967_296) * most);
  };
}

/**
 * Networks of so many nodes; of those, `pinned` in a hundred stand where somebody put them, also on others, and `linked` in a hundred
 * have a link: of those `stray` in a hundred to any other node, the rest to their gateway.
 */
function sceneOf(
  sizes: readonly number[],
  roll: (most: number) => number,
  pinned = 0,
  linked = 0,
  stray = 20,
): Scene {
  const nodes: MapNode[] = [];
  const roles = ["server", "phone", "switch", "camera", null];
  for (const [at, size] of sizes.entries())
    for (let i = 0; i < size; i++) {
      const moved = roll(100) < pinned;
      nodes.push({
        id: `n${at}-${String(i).padStart(5, "0")}`,
        name: ["nas", `living-room-lamp-${i}`, `10.${at}.0.${i}`, "homeassistantserver"][roll(4)] ?? "",
        kind: "device",
        role: i === 0 ? "router" : (roles[roll(5)] ?? null),
        status: "up",
        network_id: at === sizes.length - 1 && sizes.length > 3 ? null : `g${at}`,
        addresses: [`10.${at}.${i >> 8}.${i & 255}`],
        ports: [22, 80, 443],
        server: at === 0 && i === 7,
        x: moved ? roll(2_000) - 1_000 : null,
        y: moved ? roll(2_000) - 1_000 : null,
      });
    }
  const groups = sizes.map((_, at) => ({ id: `g${at}`, name: `Network ${at}`, cidr: `10.${at}.0.0/16` }));
  const links = nodes.flatMap(({ id }, at) => {
    if (linked === 0 || roll(100) >= linked) return [];
    const hub = `${id.slice(0, id.indexOf("-"))}-00000`;
    const to = roll(100) >= stray ? hub : nodes[roll(nodes.length)]?.id;
    if (!to || to === id) return [];
    const evidence =
      (["measured", "assumed", "drawn"] as const)[roll(8) || !stray ? 0 : roll(3)] ?? "measured";
    return [{ id: `l${at}`, a: id, b: to, kind: "ethernet" as const, evidence, label: null }];
  });
  const model = toModel({ nodes, links, groups, truncated: false });
  const grouped = groupNodes(model);
  const { seats } = settle(
    grouped.map(({ id, members }) => ({
      id,
      members: members.map((one) => ({ id: one.id, hub: one.role === "router" })),
    })),
    EMPTY_SEATING,
  );
  const scene = new Scene();
  const places = new Map([...seats].map(([id, seat]) => [id, placeOf(seat)]));
  for (const node of nodes) if (isPinned(node)) places.set(node.id, { x: node.x, y: node.y });
  scene.set(model, places, grouped, null);
  return scene;
}
const nothing: Focus = { hovered: null, selected: null, cursor: null, dragged: null };
const desk: Size = { width: 1080, height: 740 };
const phone: Size = { width: 390, height: 660 };
const say = (scene: Scene, camera: Camera, size: Size, focus: Focus = nothing) =>
  wordingOf({ camera, size }, scene, focus, true, words, type);
const whole = (scene: Scene, size: Size) => {
  const camera = fitting(scene.nodes.values(), size);
  if (!camera) throw new Error("nothing to see");
  return camera;
};

/** What covers what, in words. */
function troubles(said: Wording, scene: Scene, camera: Camera, size: Size): string[] {
  const boxes = [
    ...said.lines.map(({ text, box }) => ({ what: `name ${text}`, box })),
    ...said.titles.map(({ text, box }) => ({ what: `title ${text}`, box })),
    ...said.cards.map(({ card, x, y, width, height }) => ({
      what: `card ${card.title}`,
      box: { x, y, width, height },
    })),
  ];
  const found: string[] = [];
  for (const [at, { what, box }] of boxes.entries()) {
    for (const one of scene.nodes.values()) {
      const x = size.width / 2 + (one.x - camera.x) * camera.scale;
      const y = size.height / 2 - (one.y - camera.y) * camera.scale;
      const radius = Math.max(SMALLEST_PX, one.radius * camera.scale);
      if (covers(box, x, y, radius - 0.001)) found.push(`${what} on node ${one.id}`);
    }
    for (const other of boxes.slice(at + 1))
      if (meets(box, other.box)) found.push(`${what} on ${other.what}`);
  }
  return found;
}

/** The links as they are drawn, on the screen. */
function drawnLinks(scene: Scene, camera: Camera, size: Size): [Place, Place][] {
  const { links } = scene.base();
  const at = (x = 0, y = 0) => toScreen(camera, size, { x, y });
  return Array.from({ length: links.length / LINK_FLOATS }, (_, row) => {
    const [ax, ay, bx, by] = links.subarray(row * LINK_FLOATS);
    return [at(ax, ay), at(bx, by)];
  });
}
/** Looks at every third pixel of the part of a line that may be in the box: slow, and nothing like what the map does. */
function runsThrough([a, b]: [Place, Place], { x, y, width, height }: Box): boolean {
  const [right, bottom] = [x + width, y + height];
  if (Math.max(a.x, b.x) < x || Math.min(a.x, b.x) > right) return false;
  if (Math.max(a.y, b.y) < y || Math.min(a.y, b.y) > bottom) return false;
  const steps = Math.ceil(Math.hypot(a.x - b.x, a.y - b.y) / 3);
  for (let step = 0; step <= steps; step++) {
    const spot = { x: a.x + ((b.x - a.x) * step) / steps, y: a.y + ((b.y - a.y) * step) / steps };
    if (spot.x > x + 0.1 && spot.x < right - 0.1 && spot.y > y + 0.1 && spot.y < bottom - 0.1) return true;
  }
  return false;
}

describe("wording", () => {
  it("no name, title or card covers a node or another one, in random scenes at random zooms", () => {
    const roll = dice(14);
    let [cards, lines] = [0, 0];
    for (let turn = 0; turn < 120; turn++) {
      const sizes = Array.from({ length: 1 + roll(9) }, () => 1 + roll([8, 40, 160][roll(3)] ?? 8));
      const scene = sceneOf(sizes, roll, [0, 10, 60][turn % 3]);
      const size = turn % 2 ? desk : phone;
      const all = whole(scene, size);
      const near = 1 + roll(100) / (roll(2) ? 10 : 100);
      const camera = { x: all.x + roll(600) - 300, y: all.y + roll(600) - 300, scale: all.scale * near };
      const ids = [...scene.nodes.keys()];
      const focus = { ...nothing, selected: turn % 4 ? null : (ids[roll(ids.length)] ?? null) };
      const said = say(scene, camera, size, focus);
      cards += said.cards.length;
      lines += said.lines.length;
      expect(troubles(said, scene, camera, size), `turn ${turn}`).toEqual([]);
    }
    expect(cards, "the test would prove nothing without cards").toBeGreaterThan(60);
    expect(lines, "nor without names").toBeGreaterThan(500);
  });

  it("no link runs through a name without a plate, in random scenes at random zooms", () => {
    const roll = dice(23);
    let plates = 0;
    for (let turn = 0; turn < 60; turn++) {
      const sizes = Array.from({ length: 1 + roll(5) }, () => 1 + roll([8, 40, 160][roll(3)] ?? 8));
      const scene = sceneOf(sizes, roll, [0, 10, 60][turn % 3], 80);
      const size = turn % 2 ? desk : phone;
      const all = whole(scene, size);
      const near = 1 + roll(100) / (roll(2) ? 10 : 100);
      const camera = { x: all.x + roll(600) - 300, y: all.y + roll(600) - 300, scale: all.scale * near };
      const said = say(scene, camera, size);
      const links = drawnLinks(scene, camera, size);
      for (const { text, box, plate } of said.lines)
        if (links.some((link) => runsThrough(link, box))) expect(plate, `${text} in turn ${turn}`).toBe(true);
      plates += said.lines.filter(({ plate }) => plate).length;
      expect(troubles(said, scene, camera, size), `turn ${turn}`).toEqual([]);
    }
    expect(plates, "the test would prove nothing without crossed names").toBeGreaterThan(50);
  });

  it("lanes leave room for nearly all names of a network", () => {
    const scene = sceneOf([60], dice(4), 0, 100, 0);
    for (const scale of [0.55, 0.7, 0.85, 1, 1.15, 1.6, 2.4]) {
      const { lines } = say(scene, { x: 0, y: 0, scale }, { width: 2_400, height: 2_400 });
      const plates = lines.filter(({ plate }) => plate);
      expect(lines.length).toBeGreaterThan(50);
      expect(plates.length / lines.length, `at ${scale}: ${plates.map(({ text }) => text)}`).toBeLessThan(
        0.1,
      );
    }
  });

  /** A node in the middle that is linked to one at each of these places. */
  const star = (name: string, ...places: Place[]) => {
    const one = { kind: "device" as const, role: null, status: "up" as const, network_id: null };
    const bare = { addresses: [], ports: [], server: false };
    const nodes = [{ x: 0, y: 0 }, ...places].map((place, at) => ({
      ...one,
      ...bare,
      ...place,
      id: at ? `to${at}` : "a",
      name: at ? "other" : name,
    }));
    const links = nodes.slice(1).map(({ id }) => ({
      id: `l-${id}`,
      a: "a",
      b: id,
      kind: "ethernet" as const,
      evidence: "drawn" as const,
      label: null,
    }));
    const model = toModel({ nodes, links, groups: [], truncated: false });
    const scene = new Scene();
    scene.set(model, new Map(nodes.map((node) => [node.id, node])), groupNodes(model), null);
    return scene;
  };
  const pair = (x: number, y: number, name: string) => star(name, { x, y });
  const [up, down, left, right] = [
    { x: 0, y: 200 },
    { x: 0, y: -200 },
    { x: -300, y: 0 },
    { x: 300, y: 0 },
  ] as const;
  const placeOfName = (scene: Scene, scale: number, focus: Focus = nothing) => {
    const said = say(scene, { x: 0, y: 0, scale }, desk, focus).lines.filter((line) => line.of.id === "a");
    return said.map(({ x, y, plate, text }) => ({
      text,
      plate,
      below: y > desk.height / 2 + 10,
      beside: Math.abs(x - desk.width / 2) > 10,
    }));
  };

  it("a name goes elsewhere when a link runs where it would be", () => {
    expect(placeOfName(pair(0, 200, "nas"), 1)).toEqual([
      { text: "nas", plate: false, below: true, beside: false },
    ]);
    expect(placeOfName(pair(0, -200, "nas"), 1), "above its node").toEqual([
      { text: "nas", plate: false, below: false, beside: false },
    ]);
    expect(placeOfName(pair(70, -20, "nas"), 1), "what is beside leaves the room below free").toEqual([
      { text: "nas", plate: false, below: true, beside: false },
    ]);
  });

  it("where links run on all sides a name stays below its node and covers the link", () => {
    expect(placeOfName(star("nas", up, down), 1)).toEqual([
      { text: "nas", plate: false, below: false, beside: true },
    ]);
    const scene = star("nas", up, down, left, right);
    expect(placeOfName(scene, 1)).toEqual([{ text: "nas", plate: true, below: true, beside: false }]);
    scene.setMatches(new Set(["to1"]));
    const speech = new Speech(words);
    const drawn: [string, number][] = [];
    const sheet = {
      begin: () => {},
      say: (key: string, _x: number, _y: number, alpha: number) => drawn.push([key.slice(0, 1), alpha]),
    };
    const view = { camera: { x: 0, y: 0, scale: 1 }, size: desk, ratio: 1 };
    const lit = scene.lit(nothing);
    speech.say(view, sheet as unknown as WordsProgram, readPalette(), scene, nothing, lit, true);
    expect(drawn[0], "first, and not dimmed with its name").toEqual(["p", 1]);
    expect(drawn.map(([kind, alpha]) => `${kind} ${alpha}`)).toContain(`n ${DIM.name}`);
  });

  it("a name does not jump when a link is dragged over it, and has a plate then", () => {
    const scene = pair(0, 200, "nas");
    const other = scene.nodes.get("to1");
    if (!other) throw new Error("no node");
    other.y = -200;
    expect(placeOfName(scene, 1, { ...nothing, dragged: "to1" })).toEqual([
      { text: "nas", plate: true, below: true, beside: false },
    ]);
  });

  it("a long name is said in two lines where a lane runs beside it", () => {
    const name = "printer-brother";
    // Seven letters' room more than from gap to gap.
    expect(measure(name)).toBeGreaterThan(84);
    const scene = sceneOf([40], dice(3), 0, 100, 0);
    const camera = { x: 0, y: 0, scale: 1 };
    const size = { width: 2_000, height: 2_000 };
    const links = drawnLinks(scene, camera, size);
    const all = [...scene.nodes.values()];
    const seen = { one: 0, two: 0 };
    for (const long of all) {
      for (const one of all) one.node.name = one === long ? name : "nas";
      const lines = say(scene, camera, size).lines.filter(({ of, mono }) => of === long && !mono);
      const [first, second] = lines.map(({ text }) => text);
      if (first === name) seen.one += 1;
      else if (first === "printer-" && second === "brother") seen.two += 1;
      for (const { text, box } of lines)
        expect(
          links.some((link) => runsThrough(link, box)),
          `${text} of ${long.id}`,
        ).toBe(false);
    }
    expect(seen.one, "in one line where nothing is beside it").toBeGreaterThan(10);
    expect(seen.two).toBeGreaterThan(3);
  });

  it("says which network one looks at, in every view that shows much of one", () => {
    const scene = sceneOf([1_000], dice(1));
    for (const size of [desk, phone]) {
      const all = whole(scene, size);
      for (let scale = all.scale; scale < 3; scale *= 1.3) {
        const { titles, cards, where } = say(scene, { ...all, scale }, size);
        const there = [...titles.map(({ text }) => text), ...cards.map(({ card }) => card.title)];
        if (where) there.push(where.name);
        expect(there.join(), `at ${scale}`).toContain("Network 0");
      }
    }
  });

  it("a name gives way to the one of what is chosen, of a gateway and of this server", () => {
    const scene = sceneOf([60], dice(2));
    for (const scale of [0.55, 0.7, 0.9, 1.4]) {
      const said = say(scene, { x: 0, y: 0, scale }, { width: 2_000, height: 2_000 });
      const of = (id: string) => said.lines.filter((line) => line.of.id === id);
      expect(of("n0-00000").length, `the gateway at ${scale}`).toBeGreaterThan(0);
      expect(
        of("n0-00007").some(({ mark }) => mark),
        `this server at ${scale}`,
      ).toBe(true);
    }
    const chosen = { ...nothing, selected: "n0-00020" };
    const first = say(scene, { x: 0, y: 0, scale: 0.7 }, desk, chosen).lines[0];
    expect(first?.of.id).toBe("n0-00020");
  });

  it("where the names of the gateway and of this server have no room, the card says them", () => {
    const scene = sceneOf([1_000], dice(3));
    for (const size of [desk, phone]) {
      const { cards, lines } = say(scene, whole(scene, size), size);
      expect(lines.filter(({ of }) => of.rank < 2)).toEqual([]);
      const [gateway, server] = ["n0-00000", "n0-00007"].map((id) => scene.nodes.get(id)?.node.name);
      expect(cards[0]?.card.lines).toContain(`gateway: ${gateway}`);
      expect(cards[0]?.card.lines).toContain(`server: ${server}`);
    }
  });

  it("names of an ordinary network all have room, as before", () => {
    const scene = sceneOf([50], dice(4));
    for (const scale of [0.7, 0.9, 1.15]) {
      const { lines } = say(scene, { x: 0, y: 0, scale }, { width: 2_000, height: 2_000 });
      const named = new Set(lines.map(({ of }) => of.id));
      expect(named.size, `at ${scale}`).toBeGreaterThanOrEqual(48);
    }
  });

  it("a view says the same when it is panned", () => {
    const scene = sceneOf([200], dice(5));
    const names = (x: number) =>
      new Map(
        say(scene, { x, y: 0, scale: 0.8 }, desk).lines.map((line) => [`${line.of.id}${line.text}`, 1]),
      );
    const [before, after] = [names(0), names(40)];
    let lost = 0;
    for (const one of before.keys()) if (!after.has(one)) lost += 1;
    // A column has left the screen.
    expect(lost).toBeLessThan(20);
    expect(RADIUS).toBe(14);
  });
});
