/** What was done, so that it can be undone and done again. A new deed ends what could be done again. */
const DEEDS_MOST = 100;

export class History<T> {
  private done: T[] = [];
  private undone: T[] = [];

  add(deed: T): void {
    this.done = [...this.done, deed].slice(-DEEDS_MOST);
    this.undone = [];
  }

  /** The last deed that can still be undone; those before which cannot are dropped. */
  undo(can: (deed: T) => boolean): T | undefined {
    return move(this.done, this.undone, can);
  }

  redo(can: (deed: T) => boolean): T | undefined {
    return move(this.undone, this.done, can);
  }
}

function move<T>(from: T[], to: T[], can: (deed: T) => boolean): T | undefined {
  for (let deed = from.pop(); deed !== undefined; deed = from.pop()) {
    if (!can(deed)) continue;
    to.push(deed);
    return deed;
  }
  return undefined;
}
