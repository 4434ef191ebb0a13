/** Relative times with the exact one on hover, in the user's own zone. Two shared clocks: one ticks twice a minute, one every second. */
import { useSyncExternalStore } from "react";

function clockOf(every: number) {
  let now = Date.now();
  const listeners = new Set<() => void>();
  let timer: ReturnType<typeof setInterval> | undefined;
  return {
    get: () => now,
    subscribe(changed: () => void): () => void {
      listeners.add(changed);
      now = Date.now();
      timer ??= setInterval(() => {
        now = Date.now();
        for (const listener of listeners) listener();
      }, every);
      return () => {
        listeners.delete(changed);
        if (listeners.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
    },
  };
}
const halfMinutes = clockOf(30_000);
const seconds = clockOf(1_000);

const steps: [limit: number, unit: Intl.RelativeTimeFormatUnit, size: number][] = [
  [3_600, "minute", 60],
  [86_400, "hour", 3_600],
  [2_592_000, "day", 86_400],
  [31_536_000, "month", 2_592_000],
  [Number.POSITIVE_INFINITY, "year", 31_536_000],
];

export function relativeTime(at: number, reference: number, locale?: string): string {
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const seconds = Math.round((at - reference) / 1000);
  const distance = Math.abs(seconds);
  // The server's clock and ours may differ by a little: never say "in 3 seconds" of something that happened.
  if (distance < 45) return format.format(0, "second");
  for (const [limit, unit, size] of steps) {
    if (distance < limit) return format.format(Math.round(seconds / size), unit);
  }
  return format.format(0, "second");
}

/** As wide as a relative time becomes, for the width of a column. */
export function widestTime(): string {
  const texts = [59 * 60, 23 * 3_600, 29 * 86_400, 300 * 86_400].map((ago) => relativeTime(0, ago * 1_000));
  return texts.reduce((longest, text) => (text.length > longest.length ? text : longest), "");
}

/** The time, told anew twice a minute. */
export function useNow(): number {
  return useSyncExternalStore(halfMinutes.subscribe, halfMinutes.get);
}

export function Time({ at }: { at: string | null | undefined }) {
  const current = useNow();
  if (!at) return <span className="text-faint">–</span>;
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}>
      {relativeTime(date.getTime(), Math.max(current, date.getTime()))}
    </time>
  );
}

/** Less than this is now. */
const NOW_S = 5;

/** A relative time to the second, for what is renewed every few seconds and matters when it is not. */
export function Ago({ at }: { at: string }) {
  const now = useSyncExternalStore(seconds.subscribe, seconds.get);
  const date = new Date(at);
  const ago = Math.max(0, Math.round((now - date.getTime()) / 1_000));
  const format = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}>
      {ago < 60
        ? format.format(ago < NOW_S ? 0 : -ago, "second")
        : relativeTime(date.getTime(), date.getTime() + ago * 1_000)}
    </time>
  );
}

/** When something began that goes on: “since 2:05 PM”. A relative time does not fit there. */
export function Since({ at }: { at: string }) {
  const now = useNow();
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}>
      {since(at, now)}
    </time>
  );
}

/** A moment in the past, as short as it can be told: a time of today, else a day. */
export function since(at: string, now = Date.now()): string {
  const date = new Date(at);
  const today = new Date(now);
  if (date.toDateString() === today.toDateString())
    return date.toLocaleTimeString(undefined, { timeStyle: "short" });
  const year = date.getFullYear() === today.getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString(undefined, { month: "short", day: "numeric", year });
}

/** A day, for what is to come: an expiry is a date, not a distance. */
export function Day({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}>
      {date.toLocaleDateString(undefined, { dateStyle: "medium" })}
    </time>
  );
}

/** A day and a time to the second, for what is about to happen and for what must be told apart from its neighbour. */
export function Moment({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={date.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" })}>
      {date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" })}
    </time>
  );
}
