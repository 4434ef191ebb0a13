import { describe, expect, it } from "vitest";
import { distinct, modelName, productName } from "./product";

describe("vendor and model", () => {
  it.each([
    ["Brother", "Brother HL-2270", "Brother HL-2270", "HL-2270"],
    ["Brother", "Brother", "Brother", ""],
    ["Brother", "Brother Brother MFC", "Brother MFC", "MFC"],
    ["Brother Industries, Ltd.", "Brother HL-2270", "Brother HL-2270", "Brother HL-2270"],
    ["Ubiquiti Inc.", "ubiquiti UniFi 6", "ubiquiti UniFi 6", "UniFi 6"],
    ["Axis Communications AB", "M3045-V", "Axis Communications AB M3045-V", "M3045-V"],
    // A beginning of the same letters is another word.
    ["HP", "HPE ProLiant", "HP HPE ProLiant", "HPE ProLiant"],
    ["Raspberry Pi Trading", "Raspberry Pi 4", "Raspberry Pi 4", "Raspberry Pi 4"],
    ["Hewlett Packard", "HP LaserJet M283", "HP LaserJet M283", "HP LaserJet M283"],
    ["Hewlett Packard", "HPE ProLiant", "Hewlett Packard HPE ProLiant", "HPE ProLiant"],
    [" Acme ", null, "Acme", ""],
    [null, "NUC10", "NUC10", "NUC10"],
    ["", "", "", ""],
    ["(x)+", "(x)+ 1", "(x)+ 1", "1"],
  ])("%s and %s are %s", (vendor, model, both, rest) => {
    expect(productName({ vendor, model })).toBe(both);
    expect(modelName({ vendor, model })).toBe(rest);
  });
  it("are words that are said once", () => {
    expect(distinct(["Storage", "storage", null, "", "NAS"])).toEqual(["Storage", "NAS"]);
  });
});
