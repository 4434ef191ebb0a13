import { describe, expect, it } from "vitest";
import { filterWord, parseFilter, type Vocabulary } from "./grammar";
import { findingKeys, matcher } from "./matcher";
import { accepted } from "./problems";

const words: Vocabulary = {
  kinds: [
    { word: "device", label: "Device" },
    { word: "storage", label: "Storage" },
  ],
  statuses: [
    { word: "up", label: "Up" },
    { word: "down", label: "Down" },
  ],
  roles: [
    { word: "access_point", label: "Access point" },
    { word: "nas", label: "NAS" },
    { word: "server", label: "Server" },
  ],
  tags: ["prod", "living room"],
  networks: [{ id: "n1", name: "Home LAN", cidr: "10.0.0.0/24" }],
};
const now = Date.UTC(2026, 0, 10, 12, 0, 30);
const parse = (text: string) => parseFilter(text, words, { now });

describe("the filter language", () => {
  it.each([
    [
      "kind:device nas tag:prod status:up 10.0.0.5",
      { kind: "device", tag: "prod", status: "up", q: "nas 10.0.0.5" },
    ],
    ["kind:Server", { role: "server" }],
    ["kind:nas", { role: "nas" }],
    ['role:"Access point"', { role: "access_point" }],
    ["ROLE:access-point", { role: "access_point" }],
    ["status:DOWN", { status: "down" }],
    ['network:"home lan"', { network: "n1" }],
    ["network:10.0.0.0/24", { network: "n1" }],
    ["vendor:raspberry port:443", { vendor: "raspberry", port: 443 }],
    ["seen:<7d", { seen_after: "2026-01-03T12:00:00.000Z" }],
    ["seen:>2h", { seen_before: "2026-01-10T10:00:00.000Z" }],
    ["seen:30m", { seen_after: "2026-01-10T11:30:00.000Z" }],
    ['"two words" aa:bb:cc:dd:ee:ff fd00::1', { q: "two words aa:bb:cc:dd:ee:ff fd00::1" }],
  ])("%s", (text, filter) => {
    expect(parse(text)).toEqual({ filter, problems: [], blocked: false });
  });

  it("keeps spaces between quotes, also while the closing one is missing", () => {
    expect(parse('tag:"living room" tv').filter).toEqual({ tag: "living room", q: "tv" });
    expect(parse('vendor:"Raspberry P').filter).toEqual({ vendor: "Raspberry P" });
  });

  it.each([
    ["color:red", { type: "key", key: "color", value: "red" }, "kind:"],
    ["status:asleep", { type: "value", key: "status", value: "asleep" }, "Down"],
    ["port:http", { type: "port", key: "port", value: "http" }, "443"],
    ["port:65536", { type: "port", key: "port", value: "65536" }, "22"],
    ["seen:yesterday", { type: "seen", key: "seen", value: "yesterday" }, "<7d"],
    ["seen:<0d", { type: "seen", key: "seen", value: "<0d" }, "<7d"],
  ])("blocks %s, says so, and offers what it knows", (text, problem, offer) => {
    const parsed = parse(text);
    expect(parsed.blocked).toBe(true);
    expect(parsed.problems).toHaveLength(1);
    expect(parsed.problems[0]).toMatchObject(problem);
    expect(parsed.problems[0]?.offers).toContain(offer);
  });

  it("says that nothing can be excluded, and does not take it for a word", () => {
    expect(parse("-kind:nas x")).toMatchObject({
      blocked: true,
      problems: [{ type: "not", key: "-kind", value: "nas" }],
    });
    expect(parse('"-kind:nas" -v pve-2')).toMatchObject({
      filter: { q: "-kind:nas -v pve-2" },
      blocked: false,
    });
  });

  it("blocks a key that is there twice", () => {
    expect(parse("tag:prod tag:other").blocked).toBe(true);
  });

  it("asks the server for a value that only it may know, and doubts it", () => {
    expect(parse("kind:espresso")).toMatchObject({
      filter: { role: "espresso" },
      blocked: false,
      problems: [{ type: "doubt", offers: ["Device", "Storage", "Access point", "NAS", "Server"] }],
    });
    expect(parse("tag:nope").problems[0]?.offers).toEqual(["prod", "living room"]);
    expect(parse("network:attic")).toMatchObject({ filter: { network: "attic" }, blocked: false });
  });

  it("does not filter by a key that is still being typed, and offers its values", () => {
    expect(parse("status:")).toMatchObject({
      filter: {},
      blocked: false,
      problems: [{ type: "open", offers: ["Up", "Down"] }],
    });
  });

  it("knows fewer keys where there is less to ask", () => {
    expect(parseFilter("tag:prod", words, { keys: findingKeys }).blocked).toBe(true);
  });
});

describe("an offer", () => {
  it("takes the place of what was wrong", () => {
    const at = (text: string, offer: string) => accepted(text, parse(text).problems[0] as never, offer);
    expect(at("a status:asleep b", "Down")).toBe("a status:Down b");
    expect(at("color:red", "tag:")).toBe("tag:red");
    expect(at('kind:"foo bar" x', "Access point")).toBe('kind:"Access point" x');
    expect(at("status:", "Up")).toBe("status:Up");
  });
  it("is written with quotes where it has spaces", () => {
    expect([filterWord("tag", "prod"), filterWord("tag", "living room")]).toEqual([
      "tag:prod",
      'tag:"living room"',
    ]);
  });
});

describe("the predicate", () => {
  const node = {
    name: "nas-1",
    kind: "storage",
    role: "access-point",
    status: "up",
    network_id: "n1",
    addresses: ["10.0.0.5"],
    ports: [22, 443],
    tags: ["Prod", "living room"],
    vendor: "Synology Inc.",
    last_seen_at: "2026-01-08T12:00:00Z",
  } as const;
  const fits = (text: string) => matcher(parse(text).filter)(node);
  it("wants every field and every word", () => {
    for (const text of [
      "",
      "kind:storage",
      "role:access-point status:up",
      "port:22 nas 10.0.0",
      'network:"Home LAN"',
      "tag:prod",
      'tag:"living room" synology',
      "vendor:syno",
      "seen:<7d",
      "seen:>1d",
      "living",
    ])
      expect(fits(text), text).toBe(true);
    for (const text of [
      "kind:device",
      "kind:server",
      "status:down",
      "port:80",
      "network:attic",
      "nas router",
      "tag:living",
      "vendor:asus",
      "seen:<1d",
      "seen:>7d",
    ])
      expect(fits(text), text).toBe(false);
  });
  it("finds nothing by what a node does not have", () => {
    const { tags, vendor, last_seen_at, ...plain } = node;
    for (const text of ["tag:prod", "vendor:syno", "seen:<7d", "seen:>1d"])
      expect(matcher(parse(text).filter)(plain), text).toBe(false);
  });
});
