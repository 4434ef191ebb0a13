import { describe, expect, it } from "vitest";
import type { MapNode } from "#/api/schema";
import { type Camera, fitting, type Size } from "./camera";
import { groupNodes } from "./group";
import { nameLines } from "./labels";
import { EMPTY_SEATING, placeOf, settle } from "./layout";
import { isPinned, toModel } from "./model";
import { covers, meets } from "./room";
import { type Focus, RADIUS, Scene } from "./scene";
import { type GroupWords, SMALLEST_PX, type Type, type Wording, wordingOf } from "./wording";

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

/** Networks of so many nodes; of those, `pinned` in a hundred stand where somebody put them, also on others. */
function sceneOf(sizes: readonly number[], roll: (most: number) => number, pinned = 0): Scene {
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
  const model = toModel({ nodes, links: [], groups, truncated: false });
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
