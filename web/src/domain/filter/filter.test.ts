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

  it("keeps spaces between quotes", () => {
    expect(parse('tag:"living room" tv').filter).toEqual({ tag: "living room", q: "tv" });
  });

  it.each([
    ["color:red", { type: "key", key: "color", value: "red" }, "kind:"],
    ["status:asleep", { type: "value", key: "status", value: "asleep" }, "Down"],
    ["port:http", { type: "port", key: "port", value: "http" }, "443"],
    ["port:65536", { type: "port", key: "port", value: "65536" }, "22"],
    ["seen:yesterday", { type: "seen", key: "seen", value: "yesterday" }, "<7d"],
    ["seen:<0d", { type: "seen", key: "seen", value: "<0d" }, "<7d"],
    ["status:", { type: "open", key: "status", value: "" }, "Down"],
    ["vendor: x", { type: "open", key: "vendor", value: "" }, undefined],
    ["status:do", { type: "begun", key: "status", value: "do" }, "Down"],
    ["seen:<", { type: "begun", key: "seen", value: "<" }, "<7d"],
    ['tag:"living', { type: "quote", key: "tag", value: "living" }, "living room"],
    ['vendor:"Raspberry P', { type: "quote", key: "vendor", value: "Raspberry P" }, undefined],
    ['x "two words', { type: "quote", key: "", token: '"two words', at: 2 }, undefined],
    ["::", { type: "colon", token: "::" }, "kind:"],
    [":443", { type: "colon", token: ":443" }, "port:"],
    ["kind::nas", { type: "colons", key: "kind", token: "kind::nas" }, "nas"],
    ["status::", { type: "colons", key: "status", token: "status::" }, "Down"],
  ])("blocks %s, says so, and offers what it knows", (text, problem, offer) => {
    const parsed = parse(text);
    expect(parsed.blocked).toBe(true);
    expect(parsed.problems).toHaveLength(1);
    expect(parsed.problems[0]).toMatchObject(problem);
    expect(parsed.filter).toEqual(
      text.startsWith("vendor: ") ? { q: "x" } : text.startsWith("x ") ? { q: "x" } : {},
    );
    if (offer) expect(parsed.problems[0]?.offers).toContain(offer);
    else expect(parsed.problems[0]?.offers).toEqual([]);
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
      problems: [{ type: "doubt", offers: ["Access point", "Device", "NAS", "Server", "Storage"] }],
    });
    expect(parse("kind:serv")).toMatchObject({
      filter: { role: "serv" },
      blocked: false,
      problems: [{ type: "begun", doubt: true, offers: ["Server"] }],
    });
    expect(parse("tag:nope").problems[0]?.offers).toEqual(["prod", "living room"]);
    expect(parse("network:attic")).toMatchObject({ filter: { network: "attic" }, blocked: false });
  });

  it("takes the words of kinds and roles behind either key, and offers one of the keys", () => {
    expect(parse("role:device").filter).toEqual({ kind: "device" });
    expect(parse("role:espresso").problems[0]?.offers).toEqual(parse("kind:espresso").problems[0]?.offers);
    expect(parse("color:red").problems[0]?.offers).not.toContain("role:");
  });

  it("knows fewer keys where there is less to ask", () => {
    expect(parseFilter("status:up", words, { keys: findingKeys }).blocked).toBe(true);
  });
});

describe("what is offered for a wrong word", () => {
  const first = (text: string) => parse(text).problems[0]?.offers[0];
  it.each([
    ["kind:Srever", "Server"],
    ["kind:NSA", "NAS"],
    ["kind:servers", "Server"],
    ["role:acces-pont", "Access point"],
    ["status:dwon", "Down"],
    ["tag:prdo", "prod"],
    ["sttus:up", "status:"],
    ["prot:443", "port:"],
    // Nothing is near it.
    ["kind:espresso", "Access point"],
  ])("%s: %s comes first", (text, offer) => {
    expect(first(text)).toBe(offer);
  });
  it("is all there is, each once", () => {
    expect(parse("kind:Srever").problems[0]?.offers.toSorted()).toEqual(
      parse("kind:espresso").problems[0]?.offers.toSorted(),
    );
  });
});

describe("a word with colons", () => {
  it.each(["a:b:c", "dead:beef:", "color:a:b"])("is explained where nothing was found: %s", (text) => {
    expect(parse(text).problems).toHaveLength(1);
  });
  it("is asked for as a text first", () => {
    expect(parse("a:b:c")).toMatchObject({
      filter: { q: "a:b:c" },
      blocked: false,
      problems: [{ type: "parts", token: "a:b:c", offers: [], doubt: true }],
    });
  });
  it.each(["aa:bb:cc:dd:ee:ff", "aa:bb:cc", "fd00::1", "fe::a", "http://a:b:c/", '"a:b:c"'])(
    "that is an address, a link or in quotes is not: %s",
    (text) => {
      expect(parse(text).problems).toEqual([]);
    },
  );
});

describe("an offer", () => {
  it("takes the place of what was wrong", () => {
    const at = (text: string, offer: string) => accepted(text, parse(text).problems[0] as never, offer);
    expect(at("a status:asleep b", "Down")).toBe("a status:Down b");
    expect(at("color:red", "tag:")).toBe("tag:red");
    expect(at('kind:"foo bar" x', "Access point")).toBe('kind:"Access point" x');
    expect(at("status:", "Up")).toBe("status:Up");
    expect(at("upstatus status:", "Up")).toBe("upstatus status:Up");
    expect(at('tv tag:"living', "living room")).toBe('tv tag:"living room"');
    expect(at('color:"foo bar" x', "tag:")).toBe('tag:"foo bar" x');
    expect(at("x :443", "port:")).toBe("x port:443");
    expect(at("KIND::nas", "nas")).toBe("kind:nas");
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
