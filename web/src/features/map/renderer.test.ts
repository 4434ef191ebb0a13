import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MapNode } from "#/api/schema";
import { groupNodes } from "./group";
import { EMPTY_SEATING, placeOf, settle } from "./layout";
import { toModel } from "./model";
import { MapRenderer } from "./renderer";

/** What the last drawn frame says, by the keys of its words: cards begin with "c", names with "n". */
const said = vi.hoisted(() => ({ keys: [] as string[] }));
vi.mock("./pixels", () => {
  const nothing = () => {};
  const words = {
    unsaid: false,
    forget: nothing,
    begin: () => {
      said.keys = [];
    },
    say: (key: string) => said.keys.push(key),
  };
  return {
    takePixels: () => ({
      canvas: document.createElement("canvas"),
      programs: { words },
      wholes: 0,
      setGround: nothing,
      bring: ({ view }: { view: unknown }) => view,
      draw: nothing,
      whenDone: nothing,
    }),
    givePixels: nothing,
  };
});

let frames: FrameRequestCallback[] = [];
function settled(): void {
  for (let turn = 0; turn < 10 && frames.length > 0; turn++)
    for (const frame of frames.splice(0)) frame(performance.now());
}

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (frame: FrameRequestCallback) => frames.push(frame));
  vi.stubGlobal("cancelAnimationFrame", () => {});
  vi.stubGlobal("matchMedia", () => ({ matches: true }));
  Object.defineProperty(document, "fonts", { value: new EventTarget(), configurable: true });
});
afterEach(() => vi.unstubAllGlobals());

function mapOf(count: number, size: { width: number; height: number }): MapRenderer {
  const nodes = Array.from(
    { length: count },
    (_, at): MapNode => ({
      id: `n${at}`,
      name: `node-${at}`,
      kind: "device",
      role: null,
      status: "up",
      network_id: `g${at % 2}`,
      addresses: [],
      ports: [],
      server: false,
      x: null,
      y: null,
    }),
  );
  const model = toModel({
    nodes,
    links: [],
    groups: ["g0", "g1"].map((id) => ({ id, name: id, cidr: id })),
    truncated: false,
  });
  const groups = groupNodes(model);
  const { seats } = settle(
    groups.map(({ id, members }) => ({ id, members: members.map((one) => ({ id: one.id, hub: false })) })),
    EMPTY_SEATING,
  );
  const container = document.createElement("div");
  Object.defineProperties(container, {
    clientWidth: { value: size.width },
    clientHeight: { value: size.height },
  });
  const map = new MapRenderer(
    container,
    { select: () => {}, moved: () => {}, drawn: () => {}, where: () => {} },
    {
      title: ({ name }) => name,
      counted: ({ name }) => name,
      lines: () => [],
      thisServer: () => "",
      landmark: () => "",
    },
    () => false,
  );
  map.setData(model, new Map([...seats].map(([id, seat]) => [id, placeOf(seat)])), groups);
  map.begin();
  settled();
  return map;
}
const sayCards = () => said.keys.filter((key) => key.startsWith("c|")).length;
const sayNames = () => said.keys.filter((key) => key.startsWith("n|")).length;

describe.each([
  ["a desk", { width: 1_080, height: 740 }],
  ["a phone", { width: 390, height: 660 }],
])("on %s", (_, size) => {
  it.each([3, 47, 600, 5_000])("a map of %i nodes speaks by cards far away and by names near by", (count) => {
    const map = mapOf(count, size);
    for (let press = 0; press < 20; press++) map.zoom(1 / 1.5);
    settled();
    expect(sayCards(), "a card for each network, as far away as one can go").toBe(2);
    expect(sayNames()).toBe(0);
    // Into a node: between the two networks there may be none.
    map.reveal("n0");
    map.center("n0");
    for (let press = 0; press < 3; press++) map.zoom(1.5);
    settled();
    expect(sayCards()).toBe(0);
    expect(sayNames()).toBeGreaterThan(0);
    map.fit();
    settled();
    expect(sayCards() > 0 || sayNames() === count, "the whole map speaks again").toBe(true);
    map.kill();
  });
});
