import { describe, expect, it } from "vitest";
import { addressesTried, addressOrder, checkTargets, isCidr, isIp, isMac, widest } from "./address";
import { inTurns } from "./removal";
import { nextTagColor } from "./tag-colors";

describe("addresses", () => {
  it.each([
    "10.0.0.1",
    "255.255.255.255",
    "::1",
    "fe80::1",
    "2001:db8::a:b",
    "::ffff:192.0.2.1",
    "1:2:3:4:5:6:7:8",
  ])("%s is an address", (text) => {
    expect(isIp(text)).toBe(true);
  });
  it.each([
    "",
    "10.0.0",
    "256.1.1.1",
    "010.0.0.1",
    "1:2:3",
    ":::1",
    "1::2::3",
    "fe80::1%eth0",
    "nas.lan",
    "10.0.0.1/24",
  ])("%s is not", (text) => {
    expect(isIp(text)).toBe(false);
  });
  it("knows networks and MACs", () => {
    expect(isCidr("192.168.1.0/24")).toBe(true);
    expect(isCidr("192.168.1.0/33")).toBe(false);
    expect(isCidr("fd00::/64")).toBe(true);
    expect(isMac("3C:22:FB:01:02:03")).toBe(true);
    expect(isMac("3c22fb010203")).toBe(false);
  });
  it("judges targets one by one and takes each once", () => {
    expect(checkTargets("192.168.1.0/24, 10.0.0.5\n10.0.0.5 nas.lan 10.0.0.0/8 x/y", 16)).toEqual([
      { target: "192.168.1.0/24", problem: null },
      { target: "10.0.0.5", problem: null },
      { target: "nas.lan", problem: "hostname" },
      { target: "10.0.0.0/8", problem: "too_wide" },
      { target: "x/y", problem: "form" },
    ]);
    expect(checkTargets("0.0.0.0/0", 16)[0]?.problem).toBe("too_wide");
    expect(checkTargets("fd00::/112 fd00::/64", 16).map((target) => target.problem)).toEqual([
      null,
      "too_wide",
    ]);
  });
  it.each([
    ["192.168.1.0/24", 254],
    ["192.168.1.77/24", 254],
    ["10.0.0.4/30", 2],
    ["10.0.0.4/31", 2],
    ["10.0.0.4/32", 1],
    ["10.0.0.4", 1],
    ["10.0.0.0/16", 65_534],
    ["fd00::/112", 65_536],
    ["fd00::5/128", 1],
    ["10.0.0.0/24 10.0.1.0/24", 508],
    ["10.0.0.0/24 10.0.0.7 10.0.0.128/25 10.0.0.9/24", 254],
    ["10.0.0.7 10.0.0.7/32 fd00::7", 2],
  ])("counts the addresses of %s that a scan tries, as the server does", (text, count) => {
    expect(addressesTried(text.split(" "))).toBe(count);
  });
  it("names the limit of the family of a range", () => {
    expect([widest("10.0.0.0/8", 16), widest("::1/64", 16)]).toEqual([16, 112]);
  });
  it("sorts by number", () => {
    expect(["10.0.0.10", "10.0.0.9", "10.0.0.100"].sort(addressOrder)).toEqual([
      "10.0.0.9",
      "10.0.0.10",
      "10.0.0.100",
    ]);
  });
});

describe("inTurns", () => {
  it("does everything, a few at a time, and answers the errors", async () => {
    let running = 0;
    let most = 0;
    const errors = await inTurns([1, 2, 3, 4, 5, 6, 7, 8, 9], async (n) => {
      running += 1;
      most = Math.max(most, running);
      await Promise.resolve();
      running -= 1;
      if (n === 5) throw new Error("five");
    });
    expect(errors).toEqual([new Error("five")]);
    expect(most).toBeLessThanOrEqual(4);
  });
});

describe("tag colors", () => {
  it("offers one that is not used yet", () => {
    const first = nextTagColor([]);
    expect(nextTagColor([{ color: first.toUpperCase() }])).not.toBe(first);
  });
});
