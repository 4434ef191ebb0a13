import { act, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ApiError } from "#/api/client";
import { ErrorBox } from "./feedback";
import { TextField } from "./field";
import { relativeTime } from "./time";
import { deferred, flushDeferred, Toaster, toast, UNDO_MS } from "./toast";

describe("time", () => {
  const now = Date.UTC(2026, 0, 10, 12);
  it.each([
    [0, "now"],
    [-40, "now"],
    [-300, "5 minutes ago"],
    [-7_200, "2 hours ago"],
    [-86_400 * 3, "3 days ago"],
  ])("%i seconds: %s", (seconds, text) => {
    expect(relativeTime(now + seconds * 1000, now, "en")).toBe(text);
  });
});

describe("undo", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    flushDeferred("commit");
    vi.useRealTimers();
  });
  const work = () => ({ commit: vi.fn(), leave: vi.fn(), undo: vi.fn() });

  it("sends nothing before its time, and then once", () => {
    const job = work();
    deferred("Deleted", "Undo", job);
    vi.advanceTimersByTime(UNDO_MS - 1);
    expect(job.commit).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(job.commit).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(UNDO_MS);
    expect(job.commit).toHaveBeenCalledOnce();
  });

  it("sends nothing at all when taken back", () => {
    const job = work();
    render(<Toaster />);
    act(() => deferred("Deleted nas", "Take back", job));
    fireEvent.click(screen.getByRole("button", { name: "Take back" }));
    vi.advanceTimersByTime(UNDO_MS * 2);
    expect(job.undo).toHaveBeenCalledOnce();
    expect(job.commit).not.toHaveBeenCalled();
  });

  it("sends what is pending when the page is left", () => {
    const job = work();
    deferred("Deleted", "Undo", job);
    window.dispatchEvent(new Event("pagehide"));
    expect(job.leave).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(UNDO_MS * 2);
    expect(job.commit).not.toHaveBeenCalled();
  });
});

describe("messages", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    act(() => void vi.runAllTimers());
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
  const texts = () => screen.queryAllByText(/^(Saved|Accepted) /).map((one) => one.textContent);

  it("say the same words once, and as long as the last of them", () => {
    render(<Toaster />);
    act(() => void toast("Saved BMC"));
    act(() => void vi.advanceTimersByTime(3_000));
    act(() => void toast("Saved BMC"));
    act(() => void toast("Saved NAS"));
    expect(texts()).toEqual(["Saved BMC", "Saved NAS"]);
    act(() => void vi.advanceTimersByTime(3_000));
    expect(texts()).toEqual(["Saved BMC", "Saved NAS"]);
    act(() => void vi.advanceTimersByTime(3_000));
    expect(texts()).toEqual([]);
  });

  it("stay apart where each can be undone", () => {
    render(<Toaster />);
    const undo = { label: "Undo", run: () => {} };
    act(() => void toast("Accepted 1 finding", { action: undo }));
    act(() => void toast("Accepted 1 finding", { action: undo }));
    expect(texts()).toHaveLength(2);
  });

  it("say how much room they take, for the lists", () => {
    vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockReturnValue(40);
    const room = () => document.documentElement.style.getPropertyValue("--toast");
    render(<Toaster />);
    expect(room()).toBe("0px");
    act(() => void toast("Saved NAS"));
    expect(room()).toBe("64px");
    vi.spyOn(HTMLElement.prototype, "offsetHeight", "get").mockImplementation(function (this: HTMLElement) {
      return this.tagName === "SECTION" ? 88 : 40;
    });
    act(() => void toast("Saved pihole"));
    expect(room()).toBe("112px");
    act(() => void vi.runAllTimers());
    expect(room()).toBe("0px");
  });
});

describe("ErrorBox", () => {
  it("shows the server's words, the request id and a way to try again", () => {
    const retry = vi.fn();
    render(
      <ErrorBox
        error={new ApiError(500, { title: "Internal", detail: "In use.", request_id: "req-1" })}
        retry={retry}
      />,
    );
    expect(screen.getByRole("alert").textContent).toContain("In use.");
    // The name of an HTTP status says nothing to people.
    expect(screen.queryByText("Internal")).toBeNull();
    expect(screen.getByText("req-1")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(retry).toHaveBeenCalledOnce();
  });

  it("names the request only where the server failed", () => {
    for (const status of [403, 409, 422, 429]) {
      const { container } = render(
        <ErrorBox error={new ApiError(status, { detail: "No.", request_id: "req-1" })} />,
      );
      expect(container.textContent).not.toContain("req-1");
    }
  });
});

describe("a field with a limit", () => {
  it("says so once it is full, because a browser cuts the rest silently", () => {
    render(<TextField label="Name" maxLength={20} />);
    const type = (length: number) =>
      fireEvent.input(screen.getByLabelText("Name"), { target: { value: "x".repeat(length) } });
    type(19);
    expect(screen.queryByRole("alert")).toBeNull();
    type(20);
    expect(screen.getByRole("alert").textContent).toBe("This field takes at most 20 characters.");
    type(1);
    expect(screen.queryByRole("alert")).toBeNull();
  });
});
