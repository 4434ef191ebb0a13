import { describe, expect, it } from "vitest";
import type { MapNode } from "#/api/schema";
import { groupNodes } from "./group";
import { EMPTY_SEATING, placeOf, ROW, SPACING, settle } from "./layout";
import { LINK_FLOATS } from "./link-program";
import { toModel } from "./model";
import { NODE_FLOATS } from "./node-program";
import { DIM } from "./palette";
import { type Focus, Scene } from "./scene";

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

  it("knows how far a name may reach, and what is close under it", () => {
    const scene = sceneOf(40);
    const all = [...scene.nodes.values()];
    for (const one of all) {
      const level = all.filter((other) => other !== one && Math.abs(other.y - one.y) < 1);
      const near = Math.min(...level.map((other) => Math.abs(other.x - one.x)), Number.POSITIVE_INFINITY);
      expect(
        scene.reach(one.id, () => 40),
        one.id,
      ).toBeCloseTo(Math.min(near - 40, SPACING * 0.7));
      const under = all.some(({ x, y }) => Math.abs(x - one.x) < 84 && Math.abs(one.y - y - ROW) < 1);
      expect(scene.isLowest(one.id), one.id).toBe(!under);
    }
  });

  it("an outline keeps clear of the names under its lowest nodes", () => {
    const scene = sceneOf(40);
    const lowest = Math.min(...[...scene.nodes.values()].map(({ y }) => y));
    // Two lines of a name, at the distance from which there are two.
    const names = 14 + 34 / 0.8;
    expect(scene.outlines[0]?.bottom).toBeLessThan(lowest - names);
  });

  it("dims what is not looked for once, and never what somebody has chosen, hovers or walks on", () => {
    const scene = sceneOf(30);
    const focus = { ...nothing, hovered: "n4", selected: "n8", cursor: "n9" };
    const dim = (ids: string[]) => ids.filter((id) => scene.isDim(id, focus, scene.lit(focus)));
    const alphas = (rows: Float32Array) =>
      Array.from({ length: rows.length / NODE_FLOATS }, (_, at) => rows[at * NODE_FLOATS + NODE_FLOATS - 1]);
    const asked = ["n0", "n4", "n5", "n8", "n9"];
    expect(dim(asked), "all but the hovered one, its neighbors and what is chosen").toEqual(["n5"]);
    expect(scene.baseAlpha(scene.lit(focus))).toBe(DIM.shape);
    scene.setMatches(new Set(["n5"]));
    expect(dim([...asked, "n6"]), "a match stays bright").toEqual(["n6"]);
    expect(scene.baseAlpha(scene.lit(focus)), "what the filter has dimmed is not dimmed again").toBe(1);
    const base = alphas(scene.base().nodes);
    expect(base.filter((alpha) => alpha === 1)).toHaveLength(1);
    for (const alpha of base) expect([1, Math.fround(DIM.shape)]).toContain(alpha);
    const above = alphas(scene.above(focus, scene.lit(focus)).nodes);
    expect(above, "the hovered one, its neighbor, the chosen one and that under the cursor").toEqual([
      1, 1, 1, 1,
    ]);
  });

  it("marks what is selected otherwise than where the keys are", () => {
    const scene = sceneOf(30);
    const marks = (focus: Focus) => {
      const rows = scene.above(focus, null).nodes;
      return Array.from({ length: rows.length / NODE_FLOATS }, (_, at) => rows[at * NODE_FLOATS + 6]).filter(
        (mark) => mark !== 0,
      );
    };
    const [selected] = marks({ ...nothing, selected: "n4" });
    const [cursor] = marks({ ...nothing, cursor: "n4" });
    expect(cursor).not.toBe(selected);
    expect(marks({ ...nothing, selected: "n4", cursor: "n5" })).toEqual([selected, cursor]);
    expect(marks({ ...nothing, selected: "n4", cursor: "n4" }), "the selection says more").toEqual([
      selected,
    ]);
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
