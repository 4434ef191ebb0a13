import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import type { Degraded } from "#/api/schema";
import { addWords } from "#/i18n";
import words from "#/i18n/en/operations.json";
import { DegradedList } from "./degraded";

addWords(words);

const redis: Degraded = {
  code: "redis",
  what: "Redis does not answer this server.",
  why: "Redis closed the connection.",
  means: "Each server counts by itself.",
  fix: "Start Redis.",
  since: "2026-01-01T12:00:00Z",
  work: null,
};

describe("what is degraded", () => {
  it("is nothing when everything works", () => {
    render(<DegradedList items={[]} />);
    expect(screen.getByRole("status").textContent).toBe("Everything works.");
  });
  it("is said with why, what it means and what to do", () => {
    render(<DegradedList items={[redis]} />);
    const text = screen.getByRole("status").textContent ?? "";
    for (const part of [redis.what, redis.why, redis.means, redis.fix]) expect(text).toContain(part);
    expect(text).not.toContain("Everything works.");
  });
  it("does not hide trouble with the database that the list does not have yet", () => {
    render(<DegradedList items={[redis]} trouble />);
    const text = screen.getByRole("status").textContent ?? "";
    expect(text).toContain("Something is wrong with the database.");
    expect(text).toContain(redis.what);
  });
  it("names the periodic work in the words of the page", () => {
    const failing: Degraded = {
      ...redis,
      code: "periodic_work_failing",
      what: "Periodic work fails.",
      work: "sessions",
    };
    render(<DegradedList items={[failing]} />);
    expect(screen.getByRole("status").textContent).toContain("Periodic work fails. Remove expired sessions.");
  });
});
