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

/** The prefix of the widest range of this family that is scanned, where `ipv4` is that of IPv4: as many addresses. */
export function widest(range: string, ipv4: number): number {
  return range.includes(":") ? 96 + ipv4 : ipv4;
}

function checkTarget(target: string, minPrefix: number): TargetCheck {
  if (isIp(target)) return { target, problem: null };
  if (isCidr(target)) {
    const wide = Number(target.split("/")[1]) < widest(target, minPrefix);
    return { target, problem: wide ? "too_wide" : null };
  }
  return { target, problem: /^[a-z][a-z0-9.-]*$/i.test(target) ? "hostname" : "form" };
}

/**
 * How many addresses a scan of these targets tries, as the server's plan counts them: what lies within another target counts once, and
 * an IPv4 network's own address and its broadcast address are not tried.
 */
export function addressesTried(targets: readonly string[]): number {
  const ranges = targets.flatMap((target) => {
    const [address = "", prefix] = target.split("/");
    const number = addressNumber(address);
    if (!number) return [];
    const length = prefix === undefined ? number.bits : Number(prefix);
    return [{ bits: number.bits, length, start: number.value >> BigInt(number.bits - length) }];
  });
  type Range = (typeof ranges)[number];
  const within = (one: Range, other: Range) =>
    one.bits === other.bits &&
    one.length >= other.length &&
    one.start >> BigInt(one.length - other.length) === other.start;
  return ranges
    .filter((one, at) =>
      // Of two that are the same, the first one counts.
      ranges.every((other, place) => !within(one, other) || (within(other, one) && at <= place)),
    )
    .reduce((sum, { bits, length }) => sum + 2 ** (bits - length) - (bits === 32 && length < 31 ? 2 : 0), 0);
}

/** Sorts addresses as numbers, not as words: .9 before .10. */
export function addressOrder(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}

/** An address as a number of 32 or 128 bits; null when it is none. */
function addressNumber(text: string): { bits: 32 | 128; value: bigint } | null {
  if (isIpv4(text)) return { bits: 32, value: joined(text.split(".").map(Number), 8n) };
  if (!isIpv6(text)) return null;
  const tail = /^(.*:)([\d.]+)$/.exec(text);
  const plain =
    tail?.[1] && tail[2]?.includes(".")
      ? tail[1] + hexPairs(joined(tail[2].split(".").map(Number), 8n))
      : text;
  const [before = "", after] = plain.split("::");
  const pieces = (part: string) => part.split(":").filter(Boolean);
  const [left, right] = [pieces(before), pieces(after ?? "")];
  const middle = Array<string>(after === undefined ? 0 : 8 - left.length - right.length).fill("0");
  const words = [...left, ...middle, ...right].map((word) => Number.parseInt(word, 16));
  return { bits: 128, value: joined(words, 16n) };
}

function joined(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n);
}

function hexPairs(value: bigint): string {
  return `${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`;
}

/** Finds the narrowest of many networks that holds an address. */
export class NetworkIndex<T> {
  private readonly byStart = new Map<string, T>();
  private readonly lengths = new Set<number>();

  constructor(networks: Iterable<{ cidr: string; is: T }>) {
    for (const { cidr, is } of networks) {
      const [address = "", length = ""] = cidr.split("/");
      const number = addressNumber(address);
      if (!number || !isCidr(cidr)) continue;
      this.lengths.add(Number(length));
      this.byStart.set(startKey(number, Number(length)), is);
    }
  }

  find(address: string): T | undefined {
    const number = addressNumber(address);
    if (!number) return undefined;
    for (const length of [...this.lengths].sort((a, b) => b - a)) {
      const found = length <= number.bits ? this.byStart.get(startKey(number, length)) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function startKey({ bits, value }: { bits: number; value: bigint }, length: number): string {
  return `${bits}/${length}/${value >> BigInt(bits - length)}`;
}
