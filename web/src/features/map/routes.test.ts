import { describe, expect, it } from "vitest";
import type { MapLink, MapNode } from "#/api/schema";
import { placeCards, titleMiddle } from "./cards";
import type { Group } from "./group";
import { joinsOf } from "./joins";
import { EMPTY_SEATING, placeOf, SPACING, settle } from "./layout";
import { pieces, strips } from "./picture";
import { Room } from "./room";
import { routeLinks, type Spot } from "./routes";

const link = (a: string, b: string): MapLink => ({
  id: `${a}-${b}`,
  a,
  b,
  kind: "ethernet",
  evidence: "measured",
  label: null,
});

describe("routes", () => {
  const members = Array.from({ length: 40 }, (_, at) => ({ id: `n${at}`, hub: at === 0 }));
  const { seats } = settle([{ id: "g", members }], EMPTY_SEATING);
  const spots = new Map<string, Spot>(
    members.map(({ id, hub }) => [
      id,
      { ...placeOf(seats.get(id) ?? { q: 0, r: 0 }), group: "g", hub, seated: true },
    ]),
  );
  const star = members.slice(1).map(({ id }) => link(id, "n0"));

  it("bundles to the hub: every wire leads there, in far fewer lines than one each from node to hub", () => {
    const { wires, strands } = routeLinks(star, (id) => spots.get(id));
    expect(wires).toHaveLength(39);
    for (const wire of wires) {
      expect(wire.path[0]).toMatchObject({ x: spots.get(wire.a)?.x, y: spots.get(wire.a)?.y });
      expect(wire.path.at(-1)).toMatchObject({ x: spots.get("n0")?.x, y: spots.get("n0")?.y });
    }
    // Between rows there is one lane, and one passage through each row.
    const shared = strands.filter(({ ends }) => ends === null);
    const rows = new Set([...spots.values()].map(({ y }) => Math.round(y)));
    expect(shared.length).toBeLessThanOrEqual(2 * rows.size + 1);
    for (const { from, to, ends } of strands) {
      expect(from.x === to.x || Math.abs(from.y - to.y) < 0.01 || to.x === spots.get("n0")?.x).toBe(true);
      if (ends) expect(Math.hypot(from.x - to.x, from.y - to.y)).toBeLessThan(SPACING * 0.3);
    }
  });

  it("a wire of the hub's own row does not go beyond the hub", () => {
    const { wires } = routeLinks(star, (id) => spots.get(id));
    const hub = spots.get("n0");
    const wire = wires.find(({ a }) => spots.get(a)?.y === hub?.y && (spots.get(a)?.x ?? 0) < (hub?.x ?? 0));
    expect(Math.max(...(wire?.path ?? []).map(({ x }) => x))).toBe(hub?.x);
  });

  it("no shared lane goes through a node", () => {
    const { strands } = routeLinks(star, (id) => spots.get(id));
    for (const { from, to, ends } of strands) {
      if (ends) continue;
      for (const [id, spot] of spots) {
        if (id === "n0") continue;
        const x = Math.min(Math.max(spot.x, Math.min(from.x, to.x)), Math.max(from.x, to.x));
        const y = Math.min(Math.max(spot.y, Math.min(from.y, to.y)), Math.max(from.y, to.y));
        expect(Math.hypot(spot.x - x, spot.y - y), id).toBeGreaterThan(14);
      }
    }
  });

  it("no shared lane goes through a name, however wide it is", () => {
    const { strands } = routeLinks(star, (id) => spots.get(id));
    for (const { from, to, ends } of strands) {
      if (ends) continue;
      for (const { x, y } of spots.values()) {
        // A name begins under its node, and ends above the lane of the next row.
        const [top, foot] = [y - 18, y - 50];
        const crossesX = Math.max(from.x, to.x) > x - 40 && Math.min(from.x, to.x) < x + 40;
        const crossesY = Math.max(from.y, to.y) > foot && Math.min(from.y, to.y) < top;
        expect(crossesX && crossesY, `${JSON.stringify([from, to])} and the name at ${x} ${y}`).toBe(false);
      }
    }
  });

  it("what a person moved, and what is no bundle, is a straight line", () => {
    const moved = new Map(spots).set("n5", { x: 999, y: 999, group: "g", hub: false, seated: false });
    const { wires } = routeLinks(star, (id) => moved.get(id));
    expect(wires.find(({ a }) => a === "n5")?.path).toHaveLength(2);
    const two = routeLinks([link("n1", "n2"), link("n3", "n4")], (id) => spots.get(id));
    expect(two.strands).toHaveLength(2);
  });

  it("links to a hub elsewhere leave their group together", () => {
    const far = new Map(spots).set("hub", { x: 4_000, y: 100, group: "h", hub: true, seated: true });
    const { strands } = routeLinks(
      members.slice(1, 30).map(({ id }) => link("hub", id)),
      (id) => far.get(id),
    );
    expect(strands.filter(({ to }) => to.x === 4_000)).toHaveLength(1);
  });
});

describe("joins", () => {
  const node = (id: string, addresses: string[]): MapNode => ({
    id,
    name: id,
    kind: "device",
    role: null,
    status: "up",
    network_id: null,
    addresses,
    ports: [],
    x: null,
    y: null,
    server: false,
  });
  const group = (id: string, cidr: string, members: MapNode[] = []): Group => ({
    id,
    name: id,
    cidr,
    members,
    worst: "up",
    counts: { up: 0, degraded: 0, down: 0, not_seen: 0, unknown: 0, maintenance: 0 },
  });

  it("a gateway with addresses in several networks joins them, each by its narrowest", () => {
    const gateway = node("gw", ["10.0.0.1", "10.1.0.1", "10.1.0.2", "192.0.2.9", "2001:db8::1"]);
    const groups = [
      group("lan", "10.0.0.0/24", [gateway, node("pc", ["10.0.0.5"]), node("two", ["10.0.0.6", "10.0.0.7"])]),
      group("lab", "10.1.0.0/24"),
      group("all", "10.0.0.0/8"),
      group("six", "2001:db8::/64"),
    ];
    expect(joinsOf(groups)).toEqual([
      { node: "gw", group: "lab" },
      { node: "gw", group: "six" },
    ]);
  });
});

describe("cards", () => {
  const size = { width: 120, height: 60 };
  const wish = (left: number, top: number, weight = 1) => ({
    left,
    top,
    right: left + 100,
    bottom: top + 100,
    weight,
    sizes: [size, { width: 60, height: 25 }],
  });
  const screen = { width: 800, height: 600 };
  type Box = { x: number; y: number; width: number; height: number };
  const meets = (a: Box, b: Box) =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

  it("never cover what they speak for, nor each other, and stay on the screen", () => {
    const wishes = [
      wish(300, 200, 3),
      wish(420, 200, 2),
      wish(300, 320),
      wish(420, 320),
      wish(0, 0),
      wish(690, 490),
    ];
    const spots = placeCards(wishes, screen, new Room(screen));
    expect(spots).toHaveLength(wishes.length);
    for (const [at, spot] of spots.entries()) {
      const own = wishes[spot.wish];
      if (own) expect(meets(spot, { x: own.left, y: own.top, width: 100, height: 100 })).toBe(false);
      for (const other of spots.slice(at + 1)) expect(meets(spot, other)).toBe(false);
      expect(spot.x >= 0 && spot.y >= 0 && spot.x + spot.width <= 800 && spot.y + spot.height <= 600).toBe(
        true,
      );
    }
  });

  it("keep out of the corners that something else lies in", () => {
    const corner = { x: 640, y: 300, width: 160, height: 300 };
    const taken = new Room(screen);
    taken.take(corner);
    const [spot] = placeCards([wish(560, 440)], screen, taken);
    expect(spot && meets(spot, corner)).toBe(false);
    const [free] = placeCards([wish(560, 440)], screen, new Room(screen));
    expect(free && meets(free, corner)).toBe(true);
  });

  it("nothing is said of what is not on the screen, nor where there is no room", () => {
    expect(placeCards([wish(900, 10)], screen, new Room(screen))).toEqual([]);
    const full = new Room(screen);
    for (let x = 0; x < 800; x += 30) for (let y = 0; y < 600; y += 30) full.stand(x, y, 8);
    expect(placeCards([{ ...wish(0, 0), right: 800, bottom: 600 }], screen, full)).toEqual([]);
  });
});

describe("titles", () => {
  it("stay on the screen where they are wider than their group", () => {
    expect(titleMiddle(400, 150, 800)).toBe(400);
    expect(titleMiddle(30, 150, 800)).toBe(81);
    expect(titleMiddle(790, 150, 800)).toBe(719);
    expect(titleMiddle(30, 900, 800)).toBe(30);
  });
});

describe("picture", () => {
  it("goes round: each pixel of the screen has one of its own, wherever the corner is", () => {
    const [width, height] = [20, 10];
    for (const corner of [
      { x: 0, y: 0 },
      { x: 7, y: 0 },
      { x: 19, y: 9 },
    ]) {
      const found = new Map<string, string>();
      for (const { x, y, from } of pieces({ x: 0, y: 0, width, height }, corner, width, height))
        for (let px = from.x; px < from.x + from.width; px++)
          for (let py = from.y; py < from.y + from.height; py++)
            found.set(`${px} ${py}`, `${px + x} ${py + y}`);
      expect(found.size).toBe(width * height);
      for (const [screen, texture] of found) {
        const [px = 0, py = 0] = screen.split(" ").map(Number);
        expect(texture).toBe(`${(px + corner.x) % width} ${(py + corner.y) % height}`);
      }
    }
  });

  it("a move brings strips into view that cover exactly what was not seen", () => {
    for (const [dx, dy] of [
      [5, 0],
      [-5, 3],
      [0, -7],
      [4, 4],
    ] as const) {
      const seen = new Set<string>();
      for (const { x, y, width, height } of strips(20, 10, dx, dy))
        for (let px = x; px < x + width; px++)
          for (let py = y; py < y + height; py++) {
            expect(seen.has(`${px} ${py}`)).toBe(false);
            seen.add(`${px} ${py}`);
          }
      for (let px = 0; px < 20; px++)
        for (let py = 0; py < 10; py++) {
          const kept = px - dx >= 0 && px - dx < 20 && py - dy >= 0 && py - dy < 10;
          expect(seen.has(`${px} ${py}`)).toBe(!kept);
        }
    }
  });
});
