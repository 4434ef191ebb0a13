// How long until the map can be used: from the navigation to the first frame with all nodes, on a running server.
// Prints JSON. The server must hold the inventory already.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD; CB_E2E_RUNS (default 5)
import { env, launch, signIn } from "./browser.mjs";

const url = env("CB_E2E_URL").replace(/\/$/, "");
const username = env("CB_E2E_USER");
const password = env("CB_E2E_PASSWORD");
const runs = Number(process.env.CB_E2E_RUNS ?? 5);

const browser = await launch();
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1360, height: 860 } });
const page = await context.newPage();
await signIn(page, url, username, password);

const times = [];
let nodes = 0;
for (let run = 0; run < runs; run++) {
  // The page before may be asking for the map as well; from the commit on there is only this page.
  await page.goto(`${url}/map`, { waitUntil: "commit" });
  const answer = page.waitForResponse((r) => r.url().endsWith("/api/v1/map"));
  nodes = (await (await answer).json()).nodes.length;
  await page.waitForFunction(() => performance.getEntriesByName("map-interactive").length > 0, undefined, {
    timeout: 60_000,
  });
  times.push(
    Math.round(await page.evaluate(() => performance.getEntriesByName("map-interactive")[0].startTime)),
  );
}
// Panning: frames drawn while the map is dragged for one second.
const box = await page.locator("[data-map]").boundingBox();
const frames = page.evaluate(
  () =>
    new Promise((done) => {
      const gaps = [];
      let last = performance.now();
      const began = last;
      const tick = (now) => {
        gaps.push(now - last);
        last = now;
        if (now - began < 1_000) requestAnimationFrame(tick);
        else done(gaps.slice(1).sort((a, b) => a - b));
      };
      requestAnimationFrame(tick);
    }),
);
await page.mouse.move(box.x + 40, box.y + 40);
await page.mouse.down();
for (let step = 0; step < 40; step++) await page.mouse.move(box.x + 40 + step * 8, box.y + 40 + step * 4);
await page.mouse.up();
const gaps = await frames;
await browser.close();

const sorted = [...times].sort((a, b) => a - b);
console.log(
  JSON.stringify({
    nodes,
    runs: times,
    interactive_ms: sorted[Math.floor(sorted.length / 2)],
    worst_ms: sorted.at(-1),
    pan_frames_per_second: gaps.length,
    pan_p95_ms: Math.round(gaps[Math.floor(gaps.length * 0.95)] ?? 0),
  }),
);
