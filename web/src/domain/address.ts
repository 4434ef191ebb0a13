/** What a person may type as an address, a network or a scan target. The server judges again; this answers at once. */

const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const v4 = new RegExp(`^${octet}(?:\\.${octet}){3}$`);

function isIpv4(text: string): boolean {
  return v4.test(text);
}

function isIpv6(text: string): boolean {
  if (!/^[0-9a-f:.]+$/i.test(text) || !text.includes(":")) return false;
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const groups = (part: string): number => {
    if (part === "") return 0;
    const pieces = part.split(":");
    let count = 0;
    for (const [at, piece] of pieces.entries()) {
      if (at === pieces.length - 1 && isIpv4(piece)) count += 2;
      else if (/^[0-9a-f]{1,4}$/i.test(piece)) count += 1;
      else return Number.NaN;
    }
    return count;
  };
  const count = halves.reduce((sum, half) => sum + groups(half), 0);
  return halves.length === 2 ? count <= 7 : count === 8;
}

export function isIp(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

export function isCidr(text: string): boolean {
  const match = /^(.+)\/(\d{1,3})$/.exec(text);
  if (!match) return false;
  const [, address = "", length = ""] = match;
  return isIpv4(address) ? Number(length) <= 32 : isIpv6(address) && Number(length) <= 128;
}

export function isMac(text: string): boolean {
  return /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text);
}

type TargetProblem = "form" | "hostname" | "too_wide";
export interface TargetCheck {
  target: string;
  problem: TargetProblem | null;
  addresses: number;
}

/** Splits what was typed (spaces, commas, lines) and judges each target. `minPrefix` is the widest the server scans. */
export function checkTargets(text: string, minPrefix: number): TargetCheck[] {
  const seen = new Set<string>();
  const out: TargetCheck[] = [];
  for (const target of text.split(/[\s,;]+/)) {
    if (!target || seen.has(target)) continue;
    seen.add(target);
    out.push(checkTarget(target, minPrefix));
  }
  return out;
}

function checkTarget(target: string, minPrefix: number): TargetCheck {
  if (isIp(target)) return { target, problem: null, addresses: 1 };
  if (isCidr(target)) {
    const [address = "", length = "0"] = target.split("/");
    const wide = isIpv4(address) ? Number(length) < minPrefix : 128 - Number(length) > 32 - minPrefix;
    const bits = (isIpv4(address) ? 32 : 128) - Number(length);
    return { target, problem: wide ? "too_wide" : null, addresses: 2 ** Math.min(bits, 40) };
  }
  return { target, problem: /^[a-z][a-z0-9.-]*$/i.test(target) ? "hostname" : "form", addresses: 0 };
}

/** Sorts addresses as numbers, not as words: .9 before .10. */
export function addressOrder(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
