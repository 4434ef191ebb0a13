import { expect, it } from "vitest";
import { duration, interval } from "./duration";

it("says a length of time in its largest whole unit", () => {
  expect([5, 60, 600, 5_400, 3_600, 86_400].map((seconds) => duration(seconds, "en"))).toEqual([
    "5 seconds",
    "1 minute",
    "10 minutes",
    "90 minutes",
    "1 hour",
    "24 hours",
  ]);
});

it("leaves out the one of an interval", () => {
  expect([5, 60, 600, 3_600, 86_400].map((seconds) => interval(seconds, "en"))).toEqual([
    "5 seconds",
    "minute",
    "10 minutes",
    "hour",
    "24 hours",
  ]);
});
