/** The way into the layout worker. One worker per map; only the answer to the newest job counts. */
import type { LayoutInput, LayoutOutput } from "./layout";

export class LayoutClient {
  private worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
  private job = 0;

  constructor(onPlaces: (places: LayoutOutput) => void) {
    this.worker.onmessage = (event: MessageEvent<{ job: number; places: LayoutOutput }>) => {
      if (event.data.job === this.job) onPlaces(event.data.places);
    };
  }

  ask(input: LayoutInput): void {
    this.job += 1;
    this.worker.postMessage({ job: this.job, input });
  }

  close(): void {
    this.worker.terminate();
  }
}
