/**
 * The order of the requests that use this session and of those that may give it a new id. A new id kills the old one, and
 * a request that is under way with the old one would be refused. So a change waits for everything before it, and a use for
 * the changes before it.
 */
export class Turns {
  private readonly uses = new Set<Promise<unknown>>();
  private readonly changes = new Set<Promise<unknown>>();

  /** A request that hangs holds the others up for `patienceMs` at most. */
  constructor(private readonly patienceMs: number) {}

  async use<T>(send: () => Promise<T>): Promise<T> {
    const until = Date.now() + this.patienceMs;
    // Another change may begin in the moment after one has ended.
    while (this.changes.size > 0 && Date.now() < until) await ended([...this.changes], until);
    return track(this.uses, send());
  }

  change<T>(send: () => Promise<T>): Promise<T> {
    const before = ended([...this.uses, ...this.changes], Date.now() + this.patienceMs);
    return track(this.changes, before.then(send));
  }
}

async function ended(requests: readonly Promise<unknown>[], until: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise((resolve) => {
    timer = setTimeout(resolve, until - Date.now());
  });
  await Promise.race([Promise.allSettled(requests), patience]);
  clearTimeout(timer);
}

async function track<T>(set: Set<Promise<unknown>>, request: Promise<T>): Promise<T> {
  set.add(request);
  try {
    return await request;
  } finally {
    set.delete(request);
  }
}
