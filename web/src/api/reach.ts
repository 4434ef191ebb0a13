/**
 * Whether the server can be reached: the one owner of that question. Everything that notices something (a request that failed or
 * that waits long, a stream that broke, a browser that is online again) calls `doubt`, and only a probe decides. So a refused
 * stream, a slow answer or an ended session is never called an outage. While the server is away this module alone keeps asking.
 */

/** How a probe ended. `silent`: no answer within its deadline. */
type Answer = "here" | "gone" | "silent";

const PROBE_MS = 10_000;
/** So long nothing may come from a server with an open stream until somebody who looks is told whether it hangs. */
const QUIET_MS = 20_000;
/** A second look before anything is said: a server that restarts is back within a moment. */
const SECOND_LOOK_MS = 700;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 10_000;

/** How long to wait before the next try. The jitter keeps a server that starts from meeting every tab at once. */
export function retryWait(attempt: number, random: () => number = Math.random, most = RETRY_MAX_MS): number {
  const wait = Math.min(most, RETRY_FIRST_MS * 2 ** Math.min(attempt, 10));
  return wait / 2 + (wait / 2) * random();
}

export class Reach {
  private since: number | null = null;
  private heardAt = Date.now();
  private openAt = 0;
  private asking: Promise<boolean> | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;
  private readonly watchers = new Set<() => void>();

  /** `ask` answers whether the server itself answered; it throws when nothing came. */
  constructor(
    private readonly ask: (signal: AbortSignal) => Promise<boolean>,
    private readonly random: () => number = Math.random,
  ) {
    addEventListener("online", this.look);
    addEventListener("offline", this.look);
    document.addEventListener("visibilitychange", this.look);
  }

  /** Since when the server is away: the last time that it was surely there. Null while it is there. */
  awaySince = (): number | null => this.since;

  watch = (changed: () => void): (() => void) => {
    this.watchers.add(changed);
    return () => this.watchers.delete(changed);
  };

  /** Something came from the server. */
  heard(): void {
    this.heardAt = Date.now();
    if (this.since === null) return;
    clearTimeout(this.retry);
    this.attempt = 0;
    this.setSince(null);
  }

  /**
   * A stream is open. What is shown is of now, unless the server hangs or a cable is pulled: then a stream stays open and says nothing.
   * So a long silence is a doubt.
   */
  streams(): void {
    this.openAt = Date.now();
    const quiet = this.openAt - this.heardAt >= QUIET_MS;
    if (quiet && this.since === null && document.visibilityState === "visible") void this.doubt();
  }

  /** Something did not come. Asks the server, once for all who doubt at the same time, and answers whether it is there. */
  doubt(): Promise<boolean> {
    this.asking ??= this.judge().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  private async judge(): Promise<boolean> {
    clearTimeout(this.retry);
    const asked = Date.now();
    let answer = await this.probe();
    if (answer === "gone" && this.since === null) {
      await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS));
      answer = await this.probe();
    }
    // Another request may have got its answer meanwhile.
    if (answer === "here" || this.heardAt > asked) {
      this.heard();
      return true;
    }
    const last = answer === "gone" ? Math.max(this.heardAt, this.openAt) : this.heardAt;
    this.setSince(this.since ?? last);
    this.retry = setTimeout(() => void this.doubt(), retryWait(this.attempt++, this.random));
    return false;
  }

  private async probe(): Promise<Answer> {
    const signal = AbortSignal.timeout(PROBE_MS);
    try {
      return (await this.ask(signal)) ? "here" : "gone";
    } catch {
      return signal.aborted ? "silent" : "gone";
    }
  }

  private look = (event: Event): void => {
    if (event.type === "offline" || (this.since !== null && document.visibilityState === "visible"))
      void this.doubt();
  };

  private setSince(since: number | null): void {
    if (this.since === since) return;
    this.since = since;
    for (const changed of this.watchers) changed();
  }
}
