import { describe, expect, it } from "vitest";
import { deviceOf } from "./user-agent";

const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";

describe("the device of a session", () => {
  it.each([
    [`Mozilla/5.0 (X11; Linux x86_64) ${webkit} Chrome/140.0.0.0 Safari/537.36`, "Chrome", "Linux", "desk"],
    [
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
      "Firefox",
      "Windows",
      "desk",
    ],
    [
      `Mozilla/5.0 (Windows NT 10.0) ${webkit} Chrome/140.0 Safari/537.36 Edg/140.0`,
      "Edge",
      "Windows",
      "desk",
    ],
    [
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 (KHTML) Version/18.0 Safari/605.1",
      "Safari",
      "macOS",
      "desk",
    ],
    [
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 (KHTML) Version/18.0 Mobile/15E Safari/604.1",
      "Safari",
      "iPhone",
      "phone",
    ],
    [
      `Mozilla/5.0 (Linux; Android 15; Pixel 9) ${webkit} Chrome/140.0 Mobile Safari/537.36`,
      "Chrome",
      "Android",
      "phone",
    ],
    ["curl/8.14.1", "curl", undefined, "program"],
    ["", undefined, undefined, "program"],
  ])("%s", (text, client, system, kind) => {
    expect(deviceOf(text)).toEqual({ client, system, kind });
  });
});
