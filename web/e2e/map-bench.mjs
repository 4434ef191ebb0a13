// How long until the map can be used: from the navigation to the first frame with all nodes, on a running server. Then
// how many frames a second a pan and the wheel get, of a map of so many nodes: the answer of the server is made that large.
// Beside these figures stands that of a bare canvas of the same size, which is the most that this machine can do.
// Prints JSON. The server must hold the inventory already.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD; CB_E2E_RUNS (default 5); CB_E2E_NODES (default 5000)
//   CB_E2E_FLAGS: more flags for Chromium, such as --disable-gpu
import { env, launch, signIn } from "./browser.mjs";

const url = env("CB_E2E_URL").replace(/\/$/, "");
const username = env("CB_E2E_USER");
const password = env("CB_E2E_PASSWORD");
const runs = Number(process.env.CB_E2E_RUNS ?? 5);
const many = Number(process.env.CB_E2E_NODES ?? 5_000);
/** In each run so many, a screen's frame apart or a quick finger's notch apart. */
const PAN = { moves: 90, apart: 16 };
const WHEEL = { notches: 24, apart: 70 };

const browser = await launch(process.env.CB_E2E_FLAGS?.split(" ") ?? [], "pages");
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1360, height: 860 } });
const page = await context.newPage();
const nap = (ms) => new Promise((done) => setTimeout(done, ms));
const middle = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
const ready = () =>
  page.waitForFunction(() => performance.getEntriesByName("map-interactive").length > 0, undefined, {
    timeout: 60_000,
  });
await signIn(page, url, username, password);

const times = [];
let nodes = 0;
for (let run = 0; run < runs; run++) {
  // The page before may be asking for the map as well; from the commit on there is only this page.
  await page.goto(`${url}/map`, { waitUntil: "commit" });
  const answer = page.waitForResponse((r) => r.url().endsWith("/api/v1/map"));
  nodes = (await (await answer).json()).nodes.length;
  await ready();
  times.push(
    Math.round(await page.evaluate(() => performance.getEntriesByName("map-interactive")[0].startTime)),
  );
}

/** Frames a second, and how long the slowest of twenty waits, while `work` is under way. */
async function framesOf(work) {
  await page.evaluate(() => {
    const seen = { gaps: [], on: true };
    window.cbFrames = seen;
    let last;
    const tick = (now) => {
      if (last !== undefined) seen.gaps.push(now - last);
      last = now;
      if (seen.on) requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  await work();
  const gaps = await page.evaluate(() => {
    window.cbFrames.on = false;
    return window.cbFrames.gaps;
  });
  gaps.sort((a, b) => a - b);
  const all = gaps.reduce((sum, gap) => sum + gap, 0);
  return { rate: (gaps.length * 1_000) / all, p95: gaps[Math.floor(gaps.length * 0.95)] ?? 0 };
}

/** As many nodes as are wanted, in the networks that there are; each is linked to the first of its network. */
function grown(map) {
  const copies = [...map.nodes];
  const links = [...map.links];
  const first = new Map();
  for (const node of map.nodes) if (!first.has(node.network_id)) first.set(node.network_id, node.id);
  for (let at = 0; copies.length < many; at++) {
    const node = map.nodes[at % map.nodes.length];
    const id = `01900000-0000-7000-8000-${String(at).padStart(12, "0")}`;
    copies.push({ ...node, id, name: `${node.name}-${at}`, server: false, x: null, y: null });
    const link = { kind: "ethernet", evidence: "measured", label: null };
    links.push({ ...link, id: `l-${at}`, a: first.get(node.network_id), b: id });
  }
  return { ...map, nodes: copies, links };
}
await page.route("**/api/v1/map", async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, json: grown(await response.json()) });
});
await page.goto(`${url}/map`);
await ready();
await nap(1_000);
const box = await page.locator("[data-map]").boundingBox();
// Sent and not waited for, as a hand does: one that waits for each frame would never be too fast.
const hand = await context.newCDPSession(page);
const send = (event) => void hand.send("Input.dispatchMouseEvent", event);
async function pan() {
  const at = (step) => ({ x: box.x + 60 + step * 6, y: box.y + 20 + step * 4, button: "left", buttons: 1 });
  await page.mouse.move(box.x + 60, box.y + 20);
  await page.mouse.down();
  for (let step = 0; step < PAN.moves; step++) {
    send({ type: "mouseMoved", ...at(step) });
    await nap(PAN.apart);
  }
  await page.mouse.up();
}
async function wheel() {
  const at = { x: box.x + box.width / 2, y: box.y + box.height / 2, deltaX: 0 };
  for (let notch = 0; notch < WHEEL.notches; notch++) {
    send({ type: "mouseWheel", ...at, deltaY: notch < WHEEL.notches / 2 ? -110 : 110 });
    await nap(WHEEL.apart);
  }
}
const [pans, wheels] = [[], []];
for (let run = 0; run < runs; run++) {
  await page.getByRole("button", { name: "Show all (f)" }).click();
  await nap(500);
  wheels.push(await framesOf(wheel));
  await page.getByRole("button", { name: "Show all (f)" }).click();
  await page.getByRole("button", { name: "Zoom in" }).click();
  await nap(700);
  pans.push(await framesOf(pan));
}
await page.setContent("<canvas></canvas>");
const bare = await framesOf(() =>
  page.evaluate(
    async ({ width, height, ms }) => {
      const canvas = document.querySelector("canvas");
      Object.assign(canvas, { width, height });
      const gl = canvas.getContext("webgl2", { alpha: false, antialias: false, depth: false });
      const began = performance.now();
      for (let turn = 0; performance.now() - began < ms; turn++) {
        gl.clearColor(turn % 2, 0, 0, 1);
        gl.clear(gl.COLOR_BUFFER_BIT);
        await new Promise(requestAnimationFrame);
      }
    },
    { width: Math.round(box.width), height: Math.round(box.height), ms: 1_500 },
  ),
);
await browser.close();

const sorted = [...times].sort((a, b) => a - b);
console.log(
  JSON.stringify({
    nodes,
    runs: times,
    interactive_ms: middle(times),
    worst_ms: sorted.at(-1),
    moved_nodes: Math.max(many, nodes),
    pan_frames_per_second: Math.round(middle(pans.map(({ rate }) => rate))),
    pan_p95_ms: Math.round(middle(pans.map(({ p95 }) => p95))),
    wheel_frames_per_second: Math.round(middle(wheels.map(({ rate }) => rate))),
    wheel_p95_ms: Math.round(middle(wheels.map(({ p95 }) => p95))),
    bare_frames_per_second: Math.round(bare.rate),
  }),
);
