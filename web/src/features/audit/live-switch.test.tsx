import { render, screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import { addWords } from "#/i18n";
import audit from "#/i18n/en/audit.json";
import frame from "#/i18n/en/frame.json";
import { LiveSwitch } from "./page";

addWords(audit);
addWords(frame);
let [state, away] = ["open", null as number | null];
vi.mock("#/api/hooks", async (original) => ({
  ...(await original<typeof import("#/api/hooks")>()),
  useLiveState: () => state,
  useAwaySince: () => away,
}));

function shown(on: boolean): [words: string, green: boolean] {
  const { container, unmount } = render(<LiveSwitch on={on} onChange={() => {}} />);
  const words = screen.getByRole("button").textContent ?? "";
  const green = !!container.querySelector(".bg-up");
  unmount();
  return [words, green];
}

describe("the switch that follows the log", () => {
  it("is green only while new entries can come", () => {
    expect(shown(true)).toEqual(["Live", true]);
    expect(shown(false)).toEqual(["Live", false]);
    state = "connecting";
    expect(shown(true)).toEqual(["Live", false]);
    state = "waiting";
    expect(shown(true)).toEqual(["Not live", false]);
    expect(shown(false)).toEqual(["Live", false]);
    // A stream of a server that hangs stays open.
    [state, away] = ["open", 1];
    expect(shown(true)).toEqual(["Not live", false]);
  });
});
