import { describe, expect, it, vi } from "vitest";
import type { MapNode, MapOut } from "#/api/schema";
import { between, fitting, SCALE_MAX, showing, toMap, toScreen, zoomedAt } from "./camera";
import { listen } from "./gestures";
import { groupNodes, UNGROUPED } from "./group";
import { hull, rimOf } from "./hull";
import { fitText, labelLines, nameLines } from "./labels";
import { applyDeltas, type MapDelta, toModel } from "./model";
import { findNodes, mapFilter } from "./search";
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
  server: false,
  ...more,
});
const out = (nodes: MapNode[], more: Partial<MapOut> = {}): MapOut => ({
  nodes,
  links: [],
  groups: [{ id: "n1", name: "LAN", cidr: "10.0.0.0/24" }],
  truncated: false,
  ...more,
});
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

  it("one node of unknown state does not make its network unknown, and what most are counts", () => {
    const worst = (...statuses: MapNode["status"][]) =>
      groupNodes(toModel(out(statuses.map((status, at) => node(`a${at}`, { status })))))[0]?.worst;
    expect(worst(...Array<"up">(46).fill("up"), "unknown")).toBe("up");
    expect(worst("up", "unknown", "unknown")).toBe("unknown");
    expect(worst("unknown", "degraded", "up")).toBe("degraded");
    expect(worst("maintenance", "maintenance", "unknown")).toBe("maintenance");
    expect(worst("up", "not_seen", "not_seen")).toBe("not_seen");
    expect(worst("up", "not_seen", "unknown")).not.toBe("up");
    expect(worst("up", "maintenance")).toBe("up");
  });

  it("leaves out networks without members", () => {
    expect(groupNodes(toModel(out([])))).toEqual([]);
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
    const near = zoomedAt(camera, size, spot, 3, { min: 0.1, max: 5 });
    for (const part of [0.2, 0.7, 1]) {
      const at = toMap(between(camera, near, part), size, spot);
      expect(at.x).toBeCloseTo(under.x);
      expect(at.y).toBeCloseTo(under.y);
    }
    const range = { min: 0.2, max: SCALE_MAX };
    expect(zoomedAt(camera, size, spot, 1e9, range).scale * 28).toBe(96);
    expect(zoomedAt(camera, size, spot, 1e-9, range).scale).toBe(0.2);
  });

  it("moves only as far as brings a place into view", () => {
    expect(showing(camera, size, { x: 20, y: -30 }, 60)).toBeNull();
    const right = { x: 20 + 500 / camera.scale, y: -30 };
    const moved = showing(camera, size, right, 60);
    expect(toScreen(moved ?? camera, size, right)).toEqual({ x: 740, y: 300 });
    expect(moved?.scale).toBe(camera.scale);
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
    const wheel = (deltaY: number, more: WheelEventInit = {}) =>
      target.dispatchEvent(
        // The test browser knows a wheel without a mouse.
        Object.assign(new WheelEvent("wheel", { deltaY }), {
          clientX: 5,
          clientY: 6,
          ctrlKey: false,
          ...more,
        }),
      );
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
    return { events, send, wheel };
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

  it("a notch of the wheel is a fifth, a pinch follows the fingers", () => {
    const { events, wheel } = hand(false);
    for (const notch of [100, 110, 120]) wheel(-notch);
    for (const [, factor, smooth] of events.zoom.mock.calls as unknown as [unknown, number, boolean][]) {
      expect(factor).toBeGreaterThan(1.17);
      expect(factor).toBeLessThan(1.23);
      expect(smooth).toBe(true);
    }
    events.zoom.mockClear();
    wheel(-10, { ctrlKey: true });
    expect(events.zoom).toHaveBeenCalledWith({ x: 5, y: 6 }, Math.exp(0.1), false);
  });

  it("after a drag the resting mouse says nothing until it leaves", () => {
    const { events, send } = hand(true);
    send("pointerdown", 10, 10);
    send("pointermove", 30, 40);
    send("pointerup", 30, 40);
    expect(events.hover).toHaveBeenLastCalledWith(null);
    send("pointermove", 31, 41);
    expect(events.hover).toHaveBeenCalledTimes(1);
    send("pointermove", 50, 41);
    expect(events.hover).toHaveBeenLastCalledWith({ x: 50, y: 41 });
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
  it("takes the whole filter language", () => {
    const model = toModel(
      out(
        [
          node("a1", { tags: ["attic", "prod"], vendor: "Synology", last_seen_at: new Date().toISOString() }),
          node("a2", { vendor: "Brother", last_seen_at: "2020-01-01T00:00:00Z" }),
          node("a3", { addresses: ["10.0.0.3", "10.1.0.3"] }),
        ],
        {
          groups: [
            { id: "n1", name: "LAN", cidr: "10.0.0.0/24" },
            { id: "n2", name: "Lab", cidr: "10.1.0.0/24" },
          ],
        },
      ),
    );
    for (const [text, ids] of [
      ["tag:Attic", ["a1"]],
      ["vendor:broth", ["a2"]],
      ["seen:<7d", ["a1"]],
      ["seen:>4w", ["a2"]],
      ["tag:attic vendor:brother", []],
      ["network:10.1.0.0/24", ["a3"]],
    ] as const)
      expect([...(findNodes(model, text) ?? [])], text).toEqual(ids);
    expect(mapFilter(model, "tag:attic").problems).toEqual([]);
    expect(mapFilter(model, "tag:cellar").problems[0]?.offers).toEqual(["attic", "prod"]);
  });
});

describe("labels", () => {
  const names = () => ["host-a1"];
  it("say more the closer one looks", () => {
    const one = node("a1", { addresses: ["10.0.0.1", "10.0.0.2"], ports: [22, 80, 443, 445, 8080, 9000] });
    expect(labelLines(one, 5, names)).toEqual([]);
    expect(labelLines(one, 9, names)).toHaveLength(1);
    expect(labelLines(one, 14, names).map((line) => line.text)).toContain("10.0.0.1");
    expect(labelLines(one, 24, names).at(-1)?.text).toBe("22 80 443 445 8080 +1");
  });
  it("names this server", () => {
    expect(labelLines(node("a1"), 9, () => ["host-a1"], "This server").map((line) => line.text)).toEqual([
      "host-a1",
      "This server",
    ]);
  });
  it("say a long name in two lines where it breaks, instead of an address that has no room", () => {
    const wide = (text: string) => text.length * 6;
    const inTwo = (name: string, width = 70) => nameLines(name, width, 2, wide);
    expect(inTwo("nas")).toEqual(["nas"]);
    expect(inTwo("Shelly 1PM (10.77.1.66)")).toEqual(["Shelly 1PM", "(10.77.1.6…"]);
    expect(inTwo("Apple (10.7.1.72)")).toEqual(["Apple", "(10.7.1.72)"]);
    expect(inTwo("printer-brother")).toEqual(["printer-", "brother"]);
    expect(inTwo("192.168.100.254")).toEqual(["…68.100.254"]);
    expect(nameLines("192.168.100.254", 50, 1, wide)).toEqual(["…100.254"]);
    expect(inTwo("raspberrypi17")).toEqual(["raspberr…17"]);
    expect(inTwo("homeassistantserver")).toEqual(["homeassist…"]);
    expect(inTwo("a-very-long-host-name.example")).toEqual(["a-very-", "long-host-…"]);
    expect(nameLines("printer-brother", 70, 1, wide)).toEqual(["printer-br…"]);
    for (const name of [
      "Living room lamp (2)",
      "x".repeat(40),
      "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p",
      "é".repeat(30),
    ])
      for (const line of inTwo(name)) expect(wide(line), line).toBeLessThanOrEqual(70);
    const two = () => ["printer-", "brother"];
    expect(labelLines(node("a1"), 13, two).map((line) => line.text)).toEqual(["printer-", "brother"]);
    expect(labelLines(node("a1"), 18, two).map((line) => line.text)).toContain("10.0.0.1");
  });
  it("have the room that their neighbors leave, in one line", () => {
    const wide = (text: string) => text.length * 6;
    const free = (name: string, most: number, pixels: number) => nameLines(name, 70, most, wide, pixels);
    expect(free("homeassistant", 1, 60)).toEqual(["homeassist…"]);
    expect(free("homeassistant", 1, 80)).toEqual(["homeassistant"]);
    expect(free("printer-brother", 2, 100)).toEqual(["printer-brother"]);
    expect(free("printer-brother", 2, 80)).toEqual(["printer-", "brother"]);
    expect(free("10.77.101.71", 1, 80)).toEqual(["10.77.101.71"]);
  });
  it("keep the lane above the next row free, and name the ports before more addresses", () => {
    const one = node("a1", { addresses: ["10.0.0.1", "10.0.0.2", "10.0.0.3"], ports: [22] });
    for (const radius of [9, 13, 16, 20, 24, 40]) {
      const lines = labelLines(one, radius, names);
      const height = lines.reduce((sum, { mono }) => sum + (mono ? 13.5 : 15.5), 0);
      expect(height, `${radius}`).toBeLessThanOrEqual(Math.max(15.5, radius * 2.76 - 3));
    }
    expect(labelLines(one, 20, names).map(({ text }) => text)).toEqual(["host-a1", "10.0.0.1", "22"]);
    expect(labelLines(one, 40, names)).toHaveLength(5);
  });
  it("has one line for a name where the next row is near", () => {
    const asked: number[] = [];
    for (const radius of [8, 13])
      labelLines(node("a1"), radius, (_, most) => {
        asked.push(most);
        return [];
      });
    labelLines(
      node("a1"),
      10,
      (_, most) => {
        asked.push(most);
        return [];
      },
      "",
      true,
    );
    expect(asked).toEqual([1, 2, 2]);
  });
  it("cuts long names", () => {
    expect(fitText("a-very-long-host-name.example", 60, 11)).toMatch(/^a-very.*…$/);
  });
});
