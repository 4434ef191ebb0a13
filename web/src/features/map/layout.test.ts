import { afterEach, describe, expect, it, vi } from "vitest";
import {
  EMPTY_SEATING,
  Ground,
  groupRadius,
  type LayoutGroup,
  type Place,
  placeOf,
  type Seating,
  SPACING,
  settle,
} from "./layout";
import { decode, encode } from "./memory";

const group = (id: string, count: number, hubs = 0): LayoutGroup => ({
  id,
  members: Array.from({ length: count }, (_, at) => ({
    id: `${id}-${String(at).padStart(5, "0")}`,
    hub: at >= count - hubs,
  })),
});
const placesOf = (groups: readonly LayoutGroup[], { seats }: Seating) =>
  new Map(
    groups.flatMap(({ members }) =>
      members.map(({ id }) => {
        const seat = seats.get(id);
        if (!seat) throw new Error(`${id} has no seat`);
        return [id, placeOf(seat)] as const;
      }),
    ),
  );
const nearest = (places: readonly Place[]) =>
  Math.min(...places.flatMap((a, at) => places.slice(at + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y))));
/** What the next page in this browser knows. */
function reload(groups: readonly LayoutGroup[], seating: Seating): Seating {
  const here = new Set(groups.flatMap(({ members }) => members.map(({ id }) => id)));
  return decode(encode(seating, (id) => here.has(id)));
}
/** The same numbers in every run. */
function dice(seed: number) {
  let state = seed;
  return (most: number) => {
    state = (state * 1_664_525 + 1_013_904_223) % 4_294_967_296;
    return Math.floor((state / 4_294_967_296) * most);
  };
}

afterEach(() => vi.restoreAllMocks());

describe("layout", () => {
  it("is deterministic and gives every node a place of its own", () => {
    const groups = [group("a", 120), group("b", 7), group("c", 1)];
    const seating = settle(groups, EMPTY_SEATING);
    expect(settle(groups, EMPTY_SEATING)).toEqual(seating);
    expect(settle(groups, seating)).toBe(seating);
    expect(nearest([...placesOf(groups, seating).values()])).toBeGreaterThan(SPACING * 0.99);
  });

  it("moves nobody while 200 nodes come and go, with reloads between", () => {
    const roll = dice(7);
    let groups = [group("a", 60, 2), group("b", 25, 1), group("c", 3)];
    let seating = settle(groups, EMPTY_SEATING);
    let before = placesOf(groups, seating);
    for (let turn = 0; turn < 200; turn++) {
      const at = roll(groups.length);
      groups = groups
        .map((one, index) => {
          if (index !== at) return one;
          if (roll(2) === 0)
            return { ...one, members: one.members.filter((_, who) => who !== roll(one.members.length)) };
          return { ...one, members: [...one.members, { id: `new-${turn}`, hub: roll(5) === 0 }] };
        })
        .filter((one) => one.members.length > 0);
      if (turn % 40 === 20) groups = [...groups, group(`later-${turn}`, 8, 1)];
      if (turn % 3 === 0) seating = reload(groups, seating);
      seating = settle(groups, seating);
      const now = placesOf(groups, seating);
      for (const [id, place] of now) if (before.has(id)) expect(place, id).toEqual(before.get(id));
      before = now;
    }
    expect(nearest([...before.values()])).toBeGreaterThan(SPACING * 0.99);
  });

  it("a free seat stays free until somebody needs it, and who comes back gets it", () => {
    const all = group("a", 30);
    const gone = all.members[4]?.id ?? "";
    const fewer = { ...all, members: all.members.filter(({ id }) => id !== gone) };
    const first = settle([all], EMPTY_SEATING);
    const without = settle([fewer], first);
    expect(settle([all], without).seats.get(gone)).toEqual(first.seats.get(gone));
    const grown = settle([{ ...fewer, members: [...fewer.members, { id: "new", hub: false }] }], without);
    expect(grown.seats.get("new")).toEqual(first.seats.get(gone));
    expect(grown.seats.has(gone)).toBe(false);
  });

  it("keeps newcomers clear of what a person placed", () => {
    const pinned = [placeOf({ q: 1, r: 0 }), { x: 50, y: 40 }];
    const places = placesOf([group("a", 40)], settle([group("a", 40)], EMPTY_SEATING, pinned));
    for (const one of places.values())
      for (const pin of pinned)
        expect(Math.hypot(one.x - pin.x, one.y - pin.y)).toBeGreaterThanOrEqual(SPACING * 0.6);
  });

  it("keeps the middle for a hub, even when it comes last", () => {
    const seating = settle([group("a", 30)], EMPTY_SEATING);
    const members = [...group("a", 30).members, { id: "z", hub: true }];
    const { seats, middles } = settle([{ id: "a", members }], seating);
    expect(seats.get("z")).toEqual({ ...middles.get("a"), group: "a" });
  });

  it("a node that goes to another network gets a seat there", () => {
    const [a, b] = [group("a", 5), group("b", 5)];
    const seating = settle([a, b], EMPTY_SEATING);
    const moved = a.members[0] ?? { id: "", hub: false };
    const after = settle(
      [
        { id: "a", members: a.members.slice(1) },
        { id: "b", members: [...b.members, moved] },
      ],
      seating,
    );
    expect(after.seats.get(moved.id)?.group).toBe("b");
  });

  it("keeps groups apart, also when one outgrows its room", () => {
    const first = [group("a", 3), group("b", 3), group("c", 3)];
    const grown = [group("a", 90), group("b", 3), group("c", 3)];
    const seating = settle(grown, settle(first, EMPTY_SEATING));
    const places = [...placesOf(grown, seating)];
    for (const [id, one] of places)
      for (const [other, two] of places)
        if (id[0] !== other[0])
          expect(Math.hypot(one.x - two.x, one.y - two.y)).toBeGreaterThan(SPACING * 1.9);
  });

  it("seats ten thousand nodes without trying each point for each of them", () => {
    let tries = 0;
    const { has } = Map.prototype;
    const watched = vi.spyOn(Map.prototype, "has");
    watched.mockImplementation(function (this: Map<unknown, unknown>, key) {
      tries += 1;
      // Here rather than at the end, which would be minutes away.
      if (tries > 100_000) throw new Error("too many tries");
      return has.call(this, key);
    });
    const { seats } = settle([group("a", 10_000)], EMPTY_SEATING);
    expect(seats.size).toBe(10_000);
  });

  it("finds room for 2,000 groups without comparing each with each", () => {
    let compared = 0;
    const ground = new Ground();
    const watched = (x: number, y: number, radius: number) => ({
      get x() {
        compared += 1;
        return x;
      },
      y,
      radius,
    });
    for (let at = 0; at < 2_000; at++) {
      const radius = groupRadius(3 + (at % 20));
      const { x, y } = ground.find(radius);
      ground.add(watched(x, y, radius));
    }
    expect(compared).toBeLessThan(2_000 * 1_000);
  });
});

describe("memory", () => {
  const seating = settle([group("a", 5), group("b", 3)], EMPTY_SEATING);

  it("keeps what is there, and groups that have members", () => {
    expect(decode(encode(seating, () => true))).toEqual(seating);
    const kept = decode(encode(seating, (id) => id === "a-00001"));
    expect([...kept.seats.keys()]).toEqual(["a-00001"]);
    expect([...kept.middles.keys()]).toEqual(["a"]);
  });

  it("forgets what it cannot read", () => {
    const wrong = ["", "{", "[]", '{"version":2}', '{"version":1,"groups":{"a":{"at":[0.5,1],"seats":{}}}}'];
    wrong.push(
      '{"version":1,"groups":{"a":{"at":[0,1],"seats":{"x":["1",2]}}}}',
      '{"version":1,"groups":null}',
    );
    for (const text of wrong) expect(decode(text)).toEqual(EMPTY_SEATING);
  });
});
