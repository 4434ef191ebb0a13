import { expect, it } from "vitest";
import { webAddress } from "./web-address";

const service = (scheme: unknown, port: unknown, protocol = "tcp") =>
  ({ scheme, port, protocol }) as Parameters<typeof webAddress>[0];

it.each([
  [service("http", 80), "10.0.0.5", "http://10.0.0.5/"],
  [service("https", 443), "10.0.0.5", "https://10.0.0.5/"],
  // What the scan saw counts, not the port.
  [service("https", 80), "10.0.0.5", "https://10.0.0.5:80/"],
  [service("http", 443), "10.0.0.5", "http://10.0.0.5:443/"],
  [service("https", 8006), "fd00::5", "https://[fd00::5]:8006/"],
  [service(null, 80), "10.0.0.5", undefined],
  [service("http", 80, "udp"), "10.0.0.5", undefined],
  [service("http", 80), "fe80::1", undefined],
  [service("http", 80), undefined, undefined],
  [service("javascript", 80), "10.0.0.5", undefined],
  [service("javascript:alert(1)//http", 80), "10.0.0.5", undefined],
  [service("http", 80), "javascript:alert(1)", undefined],
  [service("http", 80), "evil.example/", undefined],
  [service("http", 80), "10.0.0.5@evil.example", undefined],
  [service("http", "80@evil.example"), "10.0.0.5", undefined],
  [service("http", 0), "10.0.0.5", undefined],
])("%o at %s is %s", (one, ip, address) => {
  expect(webAddress(one, ip)).toBe(address);
});
