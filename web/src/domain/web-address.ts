/** Where a browser finds the page of a service. Only what a scan saw a page of, and only addresses, never names or words that a device sends. */
import type { Service } from "#/api/schema";
import { isIp } from "./address";

const usual = { http: 80, https: 443 } as const;

export function webAddress(
  { scheme, port, protocol }: Pick<Service, "scheme" | "port" | "protocol">,
  ip: string | undefined,
): string | undefined {
  if (protocol !== "tcp" || (scheme !== "http" && scheme !== "https")) return undefined;
  if (!ip || !isIp(ip) || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  // An address of one link means nothing without the link's name, which no browser takes.
  if (/^fe[89ab]/i.test(ip)) return undefined;
  const host = ip.includes(":") ? `[${ip}]` : ip;
  return `${scheme}://${host}${port === usual[scheme] ? "" : `:${port}`}/`;
}
