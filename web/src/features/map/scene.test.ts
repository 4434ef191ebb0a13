import { describe, expect, it } from "vitest";
import type { MapNode } from "#/api/schema";
import { groupNodes } from "./group";
import { EMPTY_SEATING, placeOf, settle } from "./layout";
import { LINK_FLOATS } from "./link-program";
import { toModel } from "./model";
import { NODE_FLOATS } from "./node-program";
import { Scene } from "./scene";

function sceneOf(count: number): Scene {
  const nodes = Array.from(
    { length: count },
    (_, at): MapNode => ({
      id: `n${at}`,
      name: `node-${at}`,
      kind: "device",
      role: at === 0 ? "switch" : null,
      status: "up",
      network_id: "lan",
      addresses: [],
      ports: [],
      server: false,
      x: null,
      y: null,
    }),
  );
  const links = nodes.slice(1).map(({ id }) => ({
    id: `l-${id}`,
    a: "n0",
    b: id,
    kind: "ethernet" as const,
    evidence: "measured" as const,
    label: null,
  }));
  const model = toModel({
    nodes,
    links,
    groups: [{ id: "lan", name: "LAN", cidr: "10.0.0.0/16" }],
    truncated: false,
  });
  const groups = groupNodes(model);
  const members = nodes.map(({ id, role }) => ({ id, hub: role === "switch" }));
  const { seats } = settle([{ id: "lan", members }], EMPTY_SEATING);
  const scene = new Scene();
  scene.set(model, new Map([...seats].map(([id, seat]) => [id, placeOf(seat)])), groups, null);
  return scene;
}
const nothing = { hovered: null, selected: null, cursor: null, dragged: null };

describe("scene", () => {
  it("what is hovered or chosen changes only the few rows above the picture", () => {
    const scene = sceneOf(2_000);
    const [base, version] = [scene.base(), scene.version];
    expect(base.nodes.length / NODE_FLOATS).toBe(2_000);
    for (const hovered of ["n5", "n900", null]) {
      const focus = { ...nothing, hovered, selected: "n7" };
      const above = scene.above(focus, scene.lit(focus));
      expect(above.nodes.length / NODE_FLOATS).toBeLessThan(5);
      expect(above.links.length / LINK_FLOATS).toBeLessThan(10);
    }
    expect(scene.base()).toBe(base);
    expect(scene.version).toBe(version);
  });

  it("what is in a hand leaves the picture once, and takes its links along as straight lines", () => {
    const scene = sceneOf(30);
    const before = scene.version;
    for (let move = 0; move < 5; move++) scene.lift("n4");
    expect(scene.version).toBe(before + 1);
    expect(scene.base().nodes.length / NODE_FLOATS).toBe(29);
    const focus = { ...nothing, dragged: "n4" };
    expect(scene.above(focus, null).links.length / LINK_FLOATS).toBe(1);
    scene.lift(null);
    expect(scene.base().nodes.length / NODE_FLOATS).toBe(30);
  });
});
