// How long from a key to the picture of what it did, in the long lists and in the palette, on a running server: by the browser's own
// clock (Event Timing, in steps of 8 ms). The browser draws without a graphics card and without emulating one: emulated, an empty page
// of the same size takes 96 ms (95 % of the keys) to be shown. Prints JSON. The server must hold the inventory already.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD
import { env, launch, signIn } from "./browser.mjs";

const url = env("CB_E2E_URL").replace(/\/$/, "");
/** A quick hand, and what it does. */
const APART = 90;
const ROWS = 120;
const WORDS = "node-000 kind:nas";

const browser = await launch([], "none");
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1360, height: 860 } });
const page = await context.newPage();
const nap = (ms) => new Promise((done) => setTimeout(done, ms));
await page.addInitScript(() => {
  window.keysTaken = [];
  const take = (list) => {
    for (const { name, duration } of list.getEntries())
      if (name === "keydown") window.keysTaken.push(duration);
  };
  new PerformanceObserver(take).observe({ type: "event", durationThreshold: 16, buffered: true });
});
await signIn(page, url, env("CB_E2E_USER"), env("CB_E2E_PASSWORD"));

const lists = [];
async function measure(what, keys, press) {
  await nap(500);
  await page.evaluate(() => window.keysTaken.splice(0));
  for (let n = 0; n < keys; n++) {
    await press(n);
    await nap(APART);
  }
  await nap(500);
  const slow = await page.evaluate(() => window.keysTaken.splice(0));
  // Those under the threshold are not told.
  const all = [...Array(Math.max(0, keys - slow.length)).fill(8), ...slow].sort((a, b) => a - b);
  lists.push({ what, keys, p95_ms: all[Math.floor(all.length * 0.95)], worst_ms: all.at(-1) });
}
const type = (text) => [text.length, (n) => page.keyboard.press(text[n] === " " ? "Space" : text[n])];

for (const [what, path] of [
  ["inventory", "/inventory"],
  ["audit log", "/audit"],
]) {
  await page.goto(url + path);
  await page.locator("tbody [data-row-open]").first().focus();
  await measure(`${what}, from row to row`, ROWS, () => page.keyboard.press("j"));
  await page.getByRole("searchbox").last().click();
  await measure(`${what}, typing a filter`, ...type(WORDS));
}
await page.goto(`${url}/inventory`);
await page.locator("tbody [data-row-open]").first().waitFor();
await page.keyboard.press("Control+k");
await page.getByRole("dialog").waitFor();
await measure("palette, typing", ...type(WORDS));
console.log(JSON.stringify(lists));
await browser.close();
