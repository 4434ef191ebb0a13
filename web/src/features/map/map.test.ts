import { describe, expect, it, vi } from "vitest";
import type { MapNode, MapOut } from "#/api/schema";
import { between, fitting, toMap, toScreen, zoomedAt } from "./camera";
import { listen } from "./gestures";
import { groupNodes, UNGROUPED } from "./group";
import { hull, rimOf } from "./hull";
import { fitText, labelLines } from "./labels";
import { groupCenters, groupRadius, isHub, type LayoutInput, layout, SPACING, seat } from "./layout";
import { applyDeltas, type MapDelta, toModel } from "./model";
import { rgb } from "./palette";
import { findNodes } from "./search";
import { stepTo } from "./walk";

const node = (id: string, more: Partial<MapNode> = {}): MapNode => ({
  id,
  name: `host-${id}`,
  kind: "device",
  role: null,
  status: "up",
  network_id: "n1",
  addresses: [`10.0.0.${Number(id.replace(/\D/g, "")) || 1}`],
  ports: [],
  x: null,
  y: null,
  ...more,
});
const out = (nodes: MapNode[], more: Partial<MapOut> = {}): MapOut => ({
  nodes,
  links: [],
  groups: [{ id: "n1", name: "LAN", cidr: "10.0.0.0/24" }],
  truncated: false,
  ...more,
});
const many = (count: number, role: string | null = null) =>
  Array.from({ length: count }, (_, at) => node(`a${String(at).padStart(4, "0")}`, { role }));

describe("model", () => {
  it("applies a burst of deltas in order and leaves the old model alone", () => {
    const before = toModel(
      out([node("a1"), node("a2")], {
        links: [{ id: "l", a: "a1", b: "a2", kind: "ethernet", evidence: "measured", label: null }],
      }),
    );
    const deltas: MapDelta[] = [
      { type: "node", data: node("a3") },
      {
        type: "positions",
        data: {
          positions: [
            { asset_id: "a3", x: 5, y: 6 },
            { asset_id: "gone", x: 1, y: 1 },
          ],
        },
      },
      { type: "node_removed", data: { id: "a1" } },
      { type: "group", data: { id: "n2", name: "Lab", cidr: "10.1.0.0/24" } },
    ];
    const after = applyDeltas(before, deltas);
    expect([...after.nodes.keys()]).toEqual(["a2", "a3"]);
    expect(after.nodes.get("a3")).toMatchObject({ x: 5, y: 6 });
    expect(after.links.size).toBe(0);
    expect(after.groups.size).toBe(2);
    expect(before.nodes.size).toBe(2);
    expect(before.links.size).toBe(1);
  });
});

describe("group", () => {
  it("puts nodes of unknown networks into the nameless group, last, and knows the worst status", () => {
    const model = toModel(
      out([
        node("a1"),
        node("a2", { status: "down" }),
        node("a3", { network_id: null }),
        node("a4", { network_id: "unknown" }),
      ]),
    );
    const groups = groupNodes(model);
    expect(groups.map((group) => [group.id, group.members.length, group.worst])).toEqual([
      ["n1", 2, "down"],
      [UNGROUPED, 2, "up"],
    ]);
  });

  it("leaves out networks without members", () => {
    expect(groupNodes(toModel(out([])))).toEqual([]);
  });
});

const input = (nodes: MapNode[], fixed: LayoutInput["fixed"] = {}): LayoutInput => ({
  groups: groupNodes(toModel(out(nodes))).map((group) => ({
    id: group.id,
    members: group.members.map((m) => ({ id: m.id, hub: isHub(m.role) })),
  })),
  fixed,
});
const distances = (places: { x: number; y: number }[]) =>
  places.flatMap((a, at) => places.slice(at + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)));

describe("layout", () => {
  it("is deterministic and gives every node a place of its own", () => {
    const places = layout(input(many(120)));
    expect(layout(input(many(120)))).toEqual(places);
    expect(Object.keys(places)).toHaveLength(120);
    expect(Math.min(...distances(Object.values(places)))).toBeGreaterThan(SPACING * 0.6);
  });

  it("never answers a place for what is fixed, and keeps clear of it", () => {
    const fixed = { a0003: { x: 11, y: -7 } };
    const places = layout(input(many(30), fixed));
    expect(places).not.toHaveProperty("a0003");
    for (const place of Object.values(places))
      expect(Math.hypot(place.x - 11, place.y + 7)).toBeGreaterThanOrEqual(SPACING * 0.6);
  });

  it("places a newcomer without moving anyone, in a session and after a reload", () => {
    const first = layout(input(many(20)));
    const newcomer = layout(input(many(21), first));
    expect(Object.keys(newcomer)).toEqual(["a0020"]);
    const reloaded = layout(input(many(21)));
    for (const [id, place] of Object.entries(first)) expect(reloaded[id]).toEqual(place);
    expect(reloaded.a0020).toEqual(newcomer.a0020);
  });

  it("keeps the middle for routers and switches, even when they come last", () => {
    const places = layout(input([...many(30), node("z9999", { role: "router" })]));
    expect(places.z9999).toEqual({ x: 0, y: 0 });
  });

  it("keeps groups apart", () => {
    const radii = [40, 200, 10, 80, 400].map(groupRadius);
    const centers = groupCenters(radii);
    for (const [a, one] of centers.entries()) {
      for (const [b, other] of centers.entries()) {
        if (a < b)
          expect(Math.hypot(one.x - other.x, one.y - other.y)).toBeGreaterThan(
            (radii[a] ?? 0) + (radii[b] ?? 0),
          );
      }
    }
  });

  it("seats stand apart", () => {
    expect(Math.min(...distances(Array.from({ length: 91 }, (_, at) => seat(at))))).toBeGreaterThan(
      SPACING * 0.85,
    );
  });

  it("lays out ten thousand nodes in bounded time", () => {
    const began = performance.now();
    expect(Object.keys(layout(input(many(10_000))))).toHaveLength(10_000);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("hull", () => {
  it("goes around the outside only", () => {
    const square = [0, 10].flatMap((x) => [0, 10].map((y) => ({ x, y })));
    expect(hull([...square, { x: 5, y: 5 }, { x: 4, y: 6 }])).toHaveLength(4);
    expect(hull([{ x: 1, y: 1 }])).toEqual([{ x: 1, y: 1 }]);
  });
});

describe("rim", () => {
  const away = (points: { x: number; y: number }[], from: { x: number; y: number }) =>
    points.map((point) => Math.hypot(point.x - from.x, point.y - from.y));

  it("goes round one node, and round two", () => {
    for (const distance of away(rimOf([{ x: 3, y: 4 }], 10), { x: 3, y: 4 }))
      expect(distance).toBeCloseTo(10);
    const two = rimOf(
      [
        { x: 0, y: 0 },
        { x: 100, y: 0 },
      ],
      10,
    );
    expect(Math.min(...two.map((point) => point.x))).toBeCloseTo(-10);
    expect(Math.max(...two.map((point) => point.x))).toBeCloseTo(110);
    expect(Math.max(...two.map((point) => point.y))).toBeCloseTo(10);
  });

  it("keeps its distance from every corner, and two nodes at one place are one", () => {
    const corners = hull([0, 100].flatMap((x) => [0, 100].map((y) => ({ x, y }))));
    const rim = rimOf(corners, 10);
    for (const point of rim)
      expect(Math.min(...corners.map((c) => Math.hypot(c.x - point.x, c.y - point.y)))).toBeCloseTo(10);
    expect(Math.max(...rim.map((point) => point.x))).toBeCloseTo(110);
    const same = { x: 1, y: 1 };
    for (const distance of away(rimOf([same, same], 5), same)) expect(distance).toBeCloseTo(5);
  });
});

describe("camera", () => {
  const size = { width: 800, height: 600 };
  const camera = { x: 20, y: -30, scale: 0.5 };

  it("goes to the screen and back", () => {
    const place = { x: 123, y: 45 };
    const back = toMap(camera, size, toScreen(camera, size, place));
    expect(back.x).toBeCloseTo(place.x);
    expect(back.y).toBeCloseTo(place.y);
  });

  it("zooms around a spot, which stays still all the way", () => {
    const spot = { x: 700, y: 80 };
    const under = toMap(camera, size, spot);
    const near = zoomedAt(camera, size, spot, 3);
    for (const part of [0.2, 0.7, 1]) {
      const at = toMap(between(camera, near, part), size, spot);
      expect(at.x).toBeCloseTo(under.x);
      expect(at.y).toBeCloseTo(under.y);
    }
    expect(zoomedAt(camera, size, spot, 1e9).scale).toBeLessThan(100);
  });

  it("fits everything, but not too near", () => {
    const far = fitting(
      [
        { x: -5000, y: 0 },
        { x: 5000, y: 10 },
      ],
      size,
    );
    expect(toScreen(far ?? camera, size, { x: 5000, y: 10 }).x).toBeLessThan(800);
    expect(fitting([{ x: 1, y: 2 }], size)).toMatchObject({ x: 1, y: 2 });
    expect(fitting([{ x: 1, y: 2 }], size)?.scale).toBeLessThan(1.5);
    expect(fitting([], size)).toBeNull();
  });
});

describe("gestures", () => {
  function hand(grabs: boolean) {
    const target = document.createElement("div");
    target.setPointerCapture = () => {};
    const events = {
      grab: vi.fn(() => grabs),
      drag: vi.fn(),
      drop: vi.fn(),
      pan: vi.fn(),
      fling: vi.fn(),
      zoom: vi.fn(),
      click: vi.fn(),
      doubleClick: vi.fn(),
      hover: vi.fn(),
    };
    listen(target, events);
    const send = (type: string, x: number, y: number, more: PointerEventInit = {}) =>
      target.dispatchEvent(
        new PointerEvent(type, {
          clientX: x,
          clientY: y,
          pointerId: 1,
          pointerType: "mouse",
          button: 0,
          ...more,
        }),
      );
    return { events, send };
  }

  it("a shake is a click, a second one at once a double click", () => {
    const { events, send } = hand(true);
    for (let twice = 0; twice < 2; twice++) {
      send("pointerdown", 10, 10);
      send("pointermove", 11, 11);
      send("pointerup", 11, 11);
    }
    expect(events.click).toHaveBeenCalledTimes(1);
    expect(events.doubleClick).toHaveBeenCalledTimes(1);
    expect(events.drag).not.toHaveBeenCalled();
  });

  it("drags what is grabbed, else pans, and neither is a click", () => {
    for (const grabs of [true, false]) {
      const { events, send } = hand(grabs);
      send("pointerdown", 10, 10);
      send("pointermove", 30, 40);
      send("pointerup", 30, 40);
      if (grabs) expect(events.drag).toHaveBeenCalledWith({ x: 30, y: 40 });
      else expect(events.pan).toHaveBeenCalledWith(20, 30);
      expect(events.drop).toHaveBeenCalledTimes(grabs ? 1 : 0);
      expect(events.click).not.toHaveBeenCalled();
    }
  });

  it("two fingers pinch, and let go of a node", () => {
    const { events, send } = hand(true);
    const touch = { pointerType: "touch" };
    send("pointerdown", 100, 100, touch);
    send("pointerdown", 200, 100, { ...touch, pointerId: 2 });
    expect(events.drop).toHaveBeenCalledTimes(1);
    send("pointermove", 300, 100, { ...touch, pointerId: 2 });
    expect(events.zoom).toHaveBeenCalledWith({ x: 200, y: 100 }, 2, false);
    send("pointerup", 300, 100, { ...touch, pointerId: 2 });
    send("pointerup", 100, 100, touch);
    expect(events.click).not.toHaveBeenCalled();
  });
});

describe("walk", () => {
  const places = new Map([
    ["here", { x: 0, y: 0 }],
    ["right", { x: 10, y: 1 }],
    ["far right", { x: 18, y: 0 }],
    ["up", { x: 0, y: 12 }],
  ]);
  it("takes the nearest in the direction, and a linked one before a nearer stranger", () => {
    expect(stepTo("here", "ArrowRight", places, new Set())).toBe("right");
    expect(stepTo("here", "ArrowRight", places, new Set(["far right"]))).toBe("far right");
    expect(stepTo("here", "ArrowUp", places, new Set())).toBe("up");
    expect(stepTo("here", "ArrowLeft", places, new Set())).toBeNull();
  });
});

describe("search", () => {
  it("needs every word and puts exact matches first", () => {
    const model = toModel(
      out([
        node("a1", { name: "nas backup" }),
        node("a2", { name: "nas" }),
        node("a3", { name: "tv", addresses: ["10.0.0.77"] }),
      ]),
    );
    expect([...(findNodes(model, "nas") ?? [])]).toEqual(["a2", "a1"]);
    expect([...(findNodes(model, "NAS back") ?? [])]).toEqual(["a1"]);
    expect([...(findNodes(model, "10.0.0.77") ?? [])]).toEqual(["a3"]);
    expect(findNodes(model, "  ")).toBeNull();
    expect(findNodes(model, "status:asleep")?.size, "what cannot be asked shows nothing").toBe(0);
  });
});

describe("labels", () => {
  it("say more the closer one looks", () => {
    const one = node("a1", { addresses: ["10.0.0.1", "10.0.0.2"], ports: [22, 80, 443, 445, 8080, 9000] });
    expect(labelLines(one, 5)).toEqual([]);
    expect(labelLines(one, 9)).toHaveLength(1);
    expect(labelLines(one, 14).map((line) => line.text)).toContain("10.0.0.1");
    expect(labelLines(one, 24).at(-1)?.text).toBe("22 80 443 445 8080 +1");
  });
  it("cuts long names", () => {
    expect(fitText("a-very-long-host-name.example", 60, 11)).toMatch(/^a-very.*…$/);
  });
});

describe("palette", () => {
  it("reads colors as written and as minified", () => {
    expect(rgb("#ffffff")).toEqual([1, 1, 1]);
    expect(rgb("#fff")).toEqual([1, 1, 1]);
    expect(rgb("oops")).toEqual([0.5, 0.5, 0.5]);
  });
});
