import { describe, expect, it } from "vitest";
import { ownPath } from "./own-path";

describe("the way back after signing in", () => {
  it.each([
    ["/map", "/map"],
    ["/inventory?q=kind%3Adevice&selected=1#top", "/inventory?q=kind%3Adevice&selected=1#top"],
    ["/audit?q=%2F%2Fevil.example", "/audit?q=%2F%2Fevil.example"],
    ["/a/../networks", "/networks"],
  ])("takes %s", (given, taken) => {
    expect(ownPath(given)).toBe(taken);
  });
  it.each([
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https://evil.example",
    "HTTPS://evil.example/map",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "/%2Fevil.example",
    "/%2f%2fevil.example",
    "%2F%2Fevil.example",
    "/%5Cevil.example",
    "/%5c/evil.example",
    "/%09/evil.example",
    "/%252Fevil.example",
    "/.//evil.example",
    "/x/..//evil.example",
    "/login",
    "/login?next=/map",
    "/setup",
    "/invite#token",
    "/reset",
    "",
    undefined,
    7,
    ["/map"],
  ])("refuses %j", (given) => {
    expect(ownPath(given)).toBeUndefined();
  });
});
