import { describe, expect, it } from "vitest";
import { addWords, useTranslation as words } from ".";

addWords({
  test: {
    hello: "Hello {{name}}, {{name}}",
    apples_one: "{{count}} apple",
    apples_other: "{{count}} apples",
  },
});
// The words of this test are in no file, so that their keys are no `Key`.
const t = words().t as (key: string, values?: object) => string;

describe("a text", () => {
  it("is filled in, each time a name occurs, and never read as a pattern", () => {
    expect(t("test.hello", { name: "$& {{count}}" })).toBe("Hello $& {{count}}, $& {{count}}");
  });
  it.each([
    [0, "0 apples"],
    [1, "1 apple"],
    [2, "2 apples"],
  ])("counts %d", (count, text) => {
    expect(t("test.apples", { count })).toBe(text);
  });
  it("that is missing shows its key, or what stands in for it", () => {
    expect(t("test.nothing")).toBe("test.nothing");
    expect(t("test.hello.deeper")).toBe("test.hello.deeper");
    expect(t("test")).toBe("test");
    expect(t("test.nothing", { defaultValue: "raw" })).toBe("raw");
  });
  it("says what lacks its value", () => {
    expect(t("test.hello")).toBe("Hello {{name}}, {{name}}");
    expect(t("test.hello", { name: null })).toBe("Hello , ");
  });
});
