import { describe, expect, it } from "vitest";
import { distinct, modelName, productName } from "./product";
import cases from "./product-cases.json";

describe("vendor and model", () => {
  // A beginning of the same letters is another word: HP is not HPE.
  it.each(cases as [string | null, string | null, string, string][])(
    "%s and %s are %s",
    (vendor, model, both, rest) => {
      expect(productName({ vendor, model })).toBe(both);
      expect(modelName({ vendor, model })).toBe(rest);
    },
  );
  it("are words that are said once", () => {
    expect(distinct(["Storage", "storage", null, "", "NAS"])).toEqual(["Storage", "NAS"]);
  });
});
