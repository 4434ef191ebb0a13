import { describe, expect, it } from "vitest";
import { hookStateOf } from "./hook-state";

const earlier = "2026-01-01T00:00:00.5Z";
const later = "2026-01-01T00:00:01Z";

describe("how a hook fares", () => {
  it("is what came last", () => {
    expect(hookStateOf({ enabled: true, last_received_at: null, last_refused_at: null })).toBe("unused");
    expect(hookStateOf({ enabled: true, last_received_at: earlier, last_refused_at: null })).toBe(
      "receiving",
    );
    expect(hookStateOf({ enabled: true, last_received_at: null, last_refused_at: earlier })).toBe("refusing");
    expect(hookStateOf({ enabled: true, last_received_at: earlier, last_refused_at: later })).toBe(
      "refusing",
    );
    expect(hookStateOf({ enabled: true, last_received_at: later, last_refused_at: earlier })).toBe(
      "receiving",
    );
  });
  it("is off when it is switched off, whatever came before", () => {
    expect(hookStateOf({ enabled: false, last_received_at: later, last_refused_at: later })).toBe("off");
  });
});
