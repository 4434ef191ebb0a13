// What every browser test shares: Debian's Chromium, without a GPU and without a word to the outside, and a watch that
// turns every console error, content-policy report and failed request into a failure.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const AXE = require.resolve("axe-core/axe.min.js");
export const SHOTS = new URL("../../build/screenshots/", import.meta.url).pathname;

export function env(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set`);
    process.exit(2);
  }
  return value;
}

/** What Chromium shows with an emulated graphics card, which is slow: every page as a whole, only what asks for WebGL, or nothing. */
const GRAPHICS = {
  pages: ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
  webgl: [
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",
  ],
  none: [],
};

/** A walk that looks at the pixels of the map needs the graphics `pages`. */
export async function launch(more = [], graphics = "webgl") {
  mkdirSync(SHOTS, { recursive: true });
  return chromium.launch({
    executablePath: process.env.CB_E2E_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-quic",
      ...GRAPHICS[graphics],
      ...more,
    ],
  });
}

/**
 * A page that remembers everything that went wrong on it. `allow` takes the answers that a step wants to be refused,
 * `visits` the other origins that it is sent to.
 */
export async function watchedPage(context, origin, visits = []) {
  const hosts = [origin, ...visits].map((one) => new URL(one).host);
  const page = await context.newPage();
  const troubles = [];
  const allowed = [];
  const watch = {
    page,
    /** The walk answers the browser's own questions itself. */
    answersDialogs: false,
    /** Answers and clears what went wrong so far. */
    take: () => troubles.splice(0),
    /** From here on, answers matching (status, path) are expected. */
    allow: (status, path) => allowed.push({ status, path }),
  };
  const isAllowed = (status, url) =>
    allowed.some((one) => one.status === status && new URL(url).pathname.match(one.path));
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    // Without a graphics card for the page, what is drawn with WebGL is read back.
    if (message.text().includes("GPU stall due to ReadPixels")) return;
    const { url } = message.location();
    const status = Number(/status of (\d+)/.exec(message.text())?.[1]);
    if (status && url && isAllowed(status, url)) return;
    // A session that gets a new id twice in a moment: a stream was just opened with the one between. It is opened anew.
    if (/WebSocket .*no valid credentials/.test(message.text()) && isAllowed(401, `${origin}/stream`)) return;
    troubles.push(`console ${message.type()}: ${message.text()} (${url})`);
  });
  // A walk that goes on by an address leaves a form behind, which asks first.
  page.on("dialog", (dialog) => {
    if (!watch.answersDialogs) void dialog.accept();
  });
  page.on("pageerror", (error) => troubles.push(`page error: ${error.stack ?? error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400 && !isAllowed(response.status(), response.url()))
      troubles.push(`answer ${response.status()} ${response.url()}`);
  });
  page.on("requestfailed", (request) => {
    // Leaving a page ends what it was still asking for.
    if (request.failure()?.errorText !== "net::ERR_ABORTED")
      troubles.push(`failed ${request.url()}: ${request.failure()?.errorText}`);
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (["http:", "https:", "ws:", "wss:"].includes(url.protocol) && !hosts.includes(url.host))
      troubles.push(`foreign origin: ${request.url()}`);
  });
  await page.exposeFunction("cbReport", (text) => troubles.push(text));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      window.cbReport(
        `content policy: ${event.violatedDirective} refused ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`,
      );
    });
  });
  return watch;
}

/** What fades in has its colors only at the end; what turns forever is not waited for. */
const settled = (page) =>
  page.waitForFunction(() =>
    document
      .getAnimations()
      .every((it) => it.playState !== "running" || it.effect?.getComputedTiming().endTime === Infinity),
  );

/** axe on the page once it has settled; evaluated over the debugger, so that the content policy stays as it is. */
export async function axe(page) {
  await settled(page);
  await page.evaluate(readFileSync(AXE, "utf8"));
  const result = await page.evaluate(() =>
    window.axe.run(document, {
      resultTypes: ["violations"],
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }),
  );
  return result.violations.map(
    (v) =>
      `axe ${v.id} (${v.impact}): ${v.help}; ${v.nodes
        .slice(0, 3)
        .map((n) => `${n.target.join(" ")} ${n.failureSummary?.split("\n")[1]?.trim() ?? ""}`)
        .join(" | ")}`,
  );
}

export async function signIn(page, url, username, password) {
  await page.goto(`${url}/login`);
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/map/);
}

export const panel = (page) => page.locator("aside");
export const dialog = (page, name) => page.getByRole("dialog", { name });
export const button = (scope, name) => scope.getByRole("button", { name, exact: true });
export const field = (scope, label) => scope.getByLabel(label, { exact: true });
export const said = (scope, words) => scope.getByText(words).first().waitFor();

/** Looks until what is seen fits, and gives that back. `fits` is also told what was seen before. */
export async function until(look, fits, what, { most = 15_000, every = 100 } = {}) {
  const end = Date.now() + most;
  for (let before; ; ) {
    const seen = await look();
    if (fits(seen, before)) return seen;
    expect(Date.now() < end, `within ${most} ms ${what}, not ${String(seen).slice(0, 200)}`);
    before = seen;
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** A moment by the page's own clock: what it does a moment later is done, such as to draw anew or to give the focus back. */
export const rested = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) =>
        setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(resolve)), 200),
      ),
  );

/**
 * The picture of the map once it stands still: the camera has arrived, and what is drawn anew when a hand rests is drawn. `unlike`: a
 * picture that was there before what was just done.
 */
export async function still(page, { clip, unlike } = {}) {
  const map = page.locator("[data-map]");
  const picture = async () => {
    await rested(page);
    return (await page.screenshot({ clip: clip ?? (await map.boundingBox()) })).toString("base64");
  };
  return until(picture, (now, before) => now === before && now !== unlike, "a map that stands still", {
    every: 0,
  });
}

/** The page as it stands has loaded, does not scroll sideways, and axe finds nothing. */
export async function judged(page) {
  await page.waitForFunction(() => !document.querySelector(".skeleton"));
  await page.waitForTimeout(200);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(wide <= 0, `no sideways scrolling, not ${wide} px`);
  const violations = await axe(page);
  if (violations.length > 0) throw new Error(violations.join("\n      "));
}

/** On the login page, wherever it leads back to. */
export async function signInHere(page, username, password) {
  await field(page, "Username").fill(username);
  await field(page, "Password").fill(password);
  await page.keyboard.press("Enter");
}

/** A session that is minutes old is not asked for a proof yet: the next answer is the one that the server gives later. */
export async function staleProof(page, resource) {
  const problem = {
    type: "/problems/proof_required",
    title: "Forbidden",
    status: 403,
    detail: "Confirm your identity first with your password or second factor: POST /auth/proof",
    request_id: "e2e",
  };
  await page.route(
    `**/api/v1/${resource}`,
    (route) =>
      route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify(problem) }),
    { times: 1 },
  );
}

/** Where a page is and how it begins, for whoever reads of a failure and has no pictures. */
async function shown(page) {
  const text = await page
    .locator("main")
    .innerText({ timeout: 1_000 })
    .catch(() => "no main part");
  return `${page.url()}: ${text.replace(/\s+/g, " ").slice(0, 600)}`;
}

/** A plain row of steps; after a step that failed the rest that needs it is not tried. */
export class Steps {
  passed = 0;
  failed = 0;
  constructor(watch) {
    this.watch = watch;
  }
  async step(name, work) {
    if (this.broken) return;
    const began = Date.now();
    try {
      await work();
      const troubles = this.watch.take();
      if (troubles.length > 0) throw new Error([...new Set(troubles)].join("\n      "));
      this.passed += 1;
      console.log(`  ok    ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      this.failed += 1;
      console.log(`  FAIL  ${name}\n      ${error.message}`);
      for (const trouble of this.watch.take()) console.log(`      heard: ${trouble}`);
      for (const [at, page] of this.watch.page.context().pages().entries()) {
        console.log(`      open: ${await shown(page)}`);
        const shot = `${basename(process.argv[1], ".mjs")}-failed-${this.failed}-${at + 1}.png`;
        await page.screenshot({ path: SHOTS + shot }).catch(() => {});
      }
      // A trouble that was only heard does not stop the walk; a step that could not be done does.
      if (error.name === "TimeoutError" || /Timeout|strict mode|expect/.test(error.message))
        this.broken = !process.env.CB_E2E_KEEP_GOING;
    }
  }
  end() {
    if (this.broken) console.log("  the walk stopped at the failed step");
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed > 0 ? 1 : 0;
  }
}

/** Where a walk goes, and as whom. */
export const site = () => ({
  url: env("CB_E2E_URL").replace(/\/$/, ""),
  username: env("CB_E2E_USER"),
  password: env("CB_E2E_PASSWORD"),
});

/** Asks the API as the page itself does. */
const askApi = (page, method, path, body) =>
  page.evaluate(
    async ([how, where, what]) => {
      const { csrf_token } = await (await fetch("/api/v1/auth/me")).json();
      const headers = { "content-type": "application/json", "x-csrf-token": csrf_token };
      const answer = await fetch(`/api/v1${where}`, {
        method: how,
        headers,
        body: what && JSON.stringify(what),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${how} ${where}: ${answer.status} ${text}`);
      return text ? JSON.parse(text) : null;
    },
    [method, path, body],
  );

/** A watched page at a desk, in the dark, for steps whose pictures are called after `name`. */
export async function beginWalk(name, url, settings = {}, graphics = "webgl") {
  const browser = await launch([], graphics);
  const desk = { ignoreHTTPSErrors: true, viewport: { width: 1360, height: 860 }, colorScheme: "dark" };
  const context = await browser.newContext({ ...desk, ...settings });
  context.setDefaultTimeout(15_000);
  const watch = await watchedPage(context, url);
  watch.allow(401, /\/auth\/(me|login|mfa)$/);
  const { page } = watch;
  async function shot(what, on = page) {
    await on.waitForTimeout(200);
    await on.screenshot({ path: `${SHOTS}${name}-${what}.png` });
  }
  return {
    browser,
    desk,
    watch,
    page,
    steps: new Steps(watch),
    shot,
    ask: (...what) => askApi(page, ...what),
  };
}

export function expect(condition, what) {
  if (!condition) throw new Error(`expected ${what}`);
}
