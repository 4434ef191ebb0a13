import { describe, expect, it } from "vitest";
import { healthOf } from "./health";

const then = "2026-01-01T00:00:00Z";
const used = { enabled: true, disabled_at: null, failing_since: null, last_delivered_at: then };

describe("how a subscriber fares", () => {
  it("is what happened last", () => {
    expect(healthOf(used)).toBe("delivering");
    expect(healthOf({ ...used, last_delivered_at: null })).toBe("unused");
    expect(healthOf({ ...used, failing_since: then })).toBe("failing");
  });
  it("tells what the server gave up from what a person switched off", () => {
    expect(healthOf({ ...used, enabled: false, failing_since: then })).toBe("off");
    expect(healthOf({ ...used, enabled: false, failing_since: then, disabled_at: then })).toBe("disabled");
  });
});
