import { type LayoutInput, layout } from "./layout";

self.onmessage = (event: MessageEvent<{ job: number; input: LayoutInput }>) => {
  self.postMessage({ job: event.data.job, places: layout(event.data.input) });
};
