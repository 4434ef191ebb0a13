import { act, fireEvent, render, screen } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { MapNode } from "#/api/schema";
import { addWords } from "#/i18n";
import words from "#/i18n/en/map.json";
import { MapCanvas } from "./canvas";
import { groupNodes } from "./group";
import { toModel } from "./model";
import type { RendererEvents } from "./renderer";

const drawn = vi.hoisted(() => ({
  events: null as RendererEvents | null,
  cursor: null as string | null,
  zoom: vi.fn(),
  fit: vi.fn(),
}));
vi.mock("./renderer", () => {
  const nothing = () => {};
  return {
    MapRenderer: class {
      zoom = drawn.zoom;
      fit = drawn.fit;
      constructor(_: HTMLElement, events: RendererEvents) {
        drawn.events = events;
      }
      setCursor(id: string | null): void {
        drawn.cursor = id;
      }
      neighbors = () => new Set<string>();
      setData = nothing;
      begin = nothing;
      setSelected = nothing;
      setMatches = nothing;
      setGroupsShown = nothing;
      refreshColors = nothing;
      reveal = nothing;
      kill = nothing;
    },
  };
});
addWords(words);

const names = ["a", "b", "c", "d"];
const nodes = names.map(
  (name): MapNode => ({
    id: name,
    name,
    kind: "device",
    role: null,
    status: "up",
    network_id: null,
    addresses: [],
    ports: [],
    server: false,
    x: null,
    y: null,
  }),
);
const model = toModel({ nodes, links: [], groups: [], truncated: false });
const placed = {
  model,
  groups: groupNodes(model),
  places: new Map(names.map((name, at) => [name, { x: 100 * at, y: 0 }])),
};
const onSelect = vi.fn();
const map = (selected?: string) => (
  <MapCanvas
    placed={placed}
    selected={selected}
    matches={null}
    focus={null}
    mayPin={false}
    onSelect={onSelect}
    onMoved={() => {}}
    onFind={() => {}}
  />
);
const press = (key: string) => fireEvent.keyDown(screen.getByRole("application"), { key });

beforeEach(() => vi.clearAllMocks());

it("a click moves the cursor of the keys, and only a key shows it", () => {
  const { rerender } = render(map());
  press("ArrowRight");
  press("ArrowRight");
  expect(drawn.cursor).toBe("b");
  press("Enter");
  expect(onSelect).toHaveBeenLastCalledWith("b");
  rerender(map("b"));
  act(() => drawn.events?.select("c"));
  rerender(map("c"));
  expect(drawn.cursor, "one node is marked, not two").toBeNull();
  press("ArrowRight");
  expect(drawn.cursor, "the keys go on from the clicked node").toBe("d");
  act(() => drawn.events?.select("c"));
  expect(drawn.cursor, "also when it was selected before").toBeNull();
  press("ArrowLeft");
  expect(drawn.cursor).toBe("b");
  act(() => drawn.events?.select(null));
  expect(drawn.cursor, "a click on nothing takes the mark away").toBeNull();
  press("Enter");
  expect(onSelect, "and the keys still know where they were").toHaveBeenLastCalledWith("b");
});

it("the keys go on from what a search or a link has selected", () => {
  const { rerender } = render(map());
  press("ArrowRight");
  rerender(map("c"));
  expect(drawn.cursor).toBeNull();
  press("ArrowRight");
  expect(drawn.cursor).toBe("d");
  rerender(map("a"));
  expect(drawn.cursor).toBeNull();
  press("ArrowLeft");
  expect(drawn.cursor, "at the edge the key shows where it is").toBe("a");
});

it("keys and buttons zoom, and show everything", () => {
  render(map());
  for (const key of ["-", "+"]) press(key);
  fireEvent.click(screen.getByRole("button", { name: "Zoom out" }));
  const [[out], [near], [again]] = drawn.zoom.mock.calls as [[number], [number], [number]];
  expect([out < 1, near > 1, again]).toEqual([true, true, out]);
  press("f");
  fireEvent.click(screen.getByRole("button", { name: /^Show all/ }));
  expect(drawn.fit).toHaveBeenCalledTimes(2);
});
