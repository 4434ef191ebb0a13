// Review and the truth about what is there, in a real browser on a real server that scans the fake LAN: findings that sort, filter and
// group, every step of review with its undo, the keyboard, the end of a scan, and a device that is unplugged and comes back. Any console
// error, content-policy report, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   a server of its own, and an administrator without a second factor
//   CB_E2E_TARGET                              the network to scan, such as 10.77.1.0/24
//   CB_E2E_HOSTS                               at least so many findings are expected
//   CB_E2E_PLUG                                a device of it, as JSON: {ip, out, in}; out and in are the commands that unplug it and plug it in
import { execFileSync } from "node:child_process";
import {
  beginWalk,
  button,
  dialog,
  env,
  expect,
  field,
  judged,
  panel,
  said,
  signIn,
  site,
  until,
} from "./browser.mjs";

const { url, username, password } = site();
const target = env("CB_E2E_TARGET");
const least = Number(env("CB_E2E_HOSTS"));
const plug = JSON.parse(env("CB_E2E_PLUG"));
const SCAN_MS = 120_000;
const run = ([program, ...rest]) => execFileSync(program, rest);
const { browser, desk, watch, page, steps, shot, ask } = await beginWalk("review", url);
const aside = panel(page);
const rows = page.locator("tbody [data-row-open]");
const tick = (name) => page.getByRole("checkbox", { name: `Select ${name}`, exact: true });
const tab = (name) => page.getByRole("tab", { name });
const toast = page.getByRole("region", { name: "Notifications" });
/** Until the server has answered: the next step may leave the page. */
const undo = async () => {
  const done = page.waitForResponse((r) => r.request().method() !== "GET");
  await button(toast, "Undo").last().click();
  await done;
};
const names = () => rows.evaluateAll((all) => all.map((one) => one.textContent));

const waiting = async () => (await ask("GET", "/findings?state=open&limit=1")).total;
/** So many wait again: what is taken back is taken back a moment later. */
const backTo = (count) => until(waiting, (now) => now === count, `${count} findings to wait`);
/** The number at the rail, until it is `count`. */
const rail = (count) =>
  page
    .getByRole("navigation", { name: "Pages" })
    .getByRole("link", { name: new RegExp(`^Discovery\\D*${count}\\D`) })
    .waitFor();
/** In the address bar, without a reload. */
const hasSearch = (name, value) =>
  page.waitForFunction(
    ([key, wanted]) => new URL(location.href).searchParams.get(key) === wanted,
    [name, value],
  );

/** Judges the page at a desk in the light too, and on a phone in both schemes. */
async function judgedEverywhere(path, name) {
  await judged(page);
  await page.emulateMedia({ colorScheme: "light" });
  await judged(page);
  await shot(`${name}-light`);
  await page.emulateMedia({ colorScheme: "dark" });
  const context = await browser.newContext({
    ...desk,
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
    storageState: await page.context().storageState(),
  });
  const phone = await context.newPage();
  for (const colorScheme of ["dark", "light"]) {
    await phone.emulateMedia({ colorScheme });
    await phone.goto(`${url}${path}`);
    await phone.locator("main, h1").first().waitFor();
    await phone.waitForTimeout(500);
    await judged(phone);
    await shot(`${name}-phone-${colorScheme}`, phone);
  }
  await context.close();
}

await steps.step("with nothing found every tab says what to do", async () => {
  await signIn(page, url, username, password);
  await page.getByRole("link", { name: "Discovery" }).click();
  await said(page, "Nothing to review");
  await judgedEverywhere("/discovery", "01-empty");
  await tab("Scans").click();
  await said(page, "No scans yet");
  expect((await button(page, "New scan").count()) === 1, "one button to begin");
  await judgedEverywhere("/discovery?tab=scans", "02-no-scan");
});

await steps.step(
  "two scans: the one that runs is shown first, and its end is told on another page",
  async () => {
    await button(page, "New scan").click();
    await field(aside, "Targets").fill(target);
    await button(aside, "Start scan").click();
    await page.getByRole("progressbar").first().waitFor();
    await ask("POST", "/scans", { targets: ["10.77.2.0/24"] });
    const cards = page.locator("li", { has: page.getByRole("progressbar") });
    await cards.nth(1).waitFor();
    expect((await cards.first().textContent()).includes(target), "the running scan at the top");
    await said(cards.first(), "Running");
    await said(cards.nth(1), "Waiting");
    await shot("03-running");
    await page.getByRole("link", { name: "Networks" }).click();
    const text = toast.getByText(`The scan of ${target} ended`);
    await text.waitFor({ timeout: SCAN_MS });
    const words = await text.textContent();
    expect(Number(/(\d+) new/.exec(words)?.[1]) >= least, `at least ${least} new, not "${words}"`);
    await shot("04-ended");
    await button(
      toast.locator("> div", { has: page.getByText(`The scan of ${target} ended`) }),
      "Review",
    ).click();
    await page.waitForURL(/\/discovery\?from=/);
    await said(page, `Found by the scan of ${target}`);
    await rows.first().waitFor();
  },
);

await steps.step("a scan's card opens its findings and scans again", async () => {
  await page.waitForFunction(() => !document.querySelector("[role=progressbar]"), undefined, {
    timeout: SCAN_MS,
  });
  await tab("Scans").click();
  const card = page.locator("li", { has: page.getByText(target, { exact: true }) }).last();
  await judgedEverywhere("/discovery?tab=scans", "05-scans");
  await card.getByRole("link", { name: /^Show \d+ findings$/ }).click();
  await page.waitForURL(/from=/);
  await rows.first().waitFor();
  await tab("Scans").click();
  await button(card, "Scan again").click();
  await page.getByRole("progressbar").first().waitFor();
  await page.waitForFunction(() => !document.querySelector("[role=progressbar]"), undefined, {
    timeout: SCAN_MS,
  });
  await said(toast, /0 new/);
});

await steps.step("findings sort and filter, and both are in the address", async () => {
  await tab("To review").click();
  await page.goto(`${url}/discovery`);
  await rows.first().waitFor();
  await page.getByRole("columnheader", { name: "What" }).getByRole("button").click();
  await hasSearch("sort", "title");
  // The address is there before the rows are.
  const sorted = (all) => all.toSorted((a, b) => a.localeCompare(b, "en", { numeric: true }));
  const up = await until(
    names,
    (now) => now.length > 1 && String(now) === String(sorted(now)),
    "names in order",
  );
  await page.getByRole("columnheader", { name: "What" }).getByRole("button").press("Enter");
  await hasSearch("sort", "-title");
  await until(names, (now) => now.length > 1 && now[0] !== up[0], "the other order by keyboard");
  await page.getByRole("searchbox").fill("kind:Printer");
  await hasSearch("q", "kind:Printer");
  await until(
    names,
    (now) => now.length > 1 && now.every((name) => /printer/i.test(name)),
    "printers, and nothing else",
  );
  await page.getByRole("searchbox").fill("status:up");
  await said(page, "There is no filter “status:”");
  expect((await rows.count()) === 0, "nothing, rather than everything");
  await page.getByRole("searchbox").fill("");
  await rows.first().waitFor();
  await judgedEverywhere("/discovery", "06-findings");
});

for (const [by, value, heading] of [
  ["Network", "network", target],
  ["Kind", "kind", "Device"],
  ["Type of device", "role", "Looks like: Printer"],
])
  await steps.step(
    `findings in groups: ${by.toLowerCase()}; a group is accepted and ignored as one`,
    async () => {
      await page.goto(`${url}/discovery`);
      await page.getByLabel("Group by").selectOption(by);
      await hasSearch("group", value);
      await page.getByText(heading, { exact: true }).waitFor();
      await judgedEverywhere(`/discovery?group=${value}`, `07-by-${value}`);
      if (value === "network") return;
      const before = await waiting();
      const escaped = heading.replace(/[/.]/g, "\\$&");
      for (const [verb, did] of [
        ["Accept", "Accepted"],
        ["Ignore", "Ignored"],
      ]) {
        await page.getByRole("button", { name: new RegExp(`^${verb} \\d+ findings: ${escaped}$`) }).click();
        await said(toast, new RegExp(`^${did} \\d+ findings$`));
        expect((await waiting()) < before, `fewer than ${before} to wait`);
        await undo();
        await backTo(before);
        await page.getByText(heading, { exact: true }).waitFor();
      }
    },
  );

await steps.step("many at once: accept, ignore, set kind, tag; each with its undo", async () => {
  await page.goto(`${url}/discovery`);
  await rows.first().waitFor();
  const before = await waiting();
  await rail(before);
  const [first, second] = await names();
  const choose = async () => {
    for (const name of [first, second]) await tick(name).check();
  };
  const bar = page.getByRole("toolbar", { name: "Actions for the selected rows" });
  for (const [what, did] of [
    ["Accept 2", "Accepted 2 findings"],
    ["Ignore", "Ignored 2 findings"],
  ]) {
    await choose();
    await button(bar, what).click();
    await said(toast, did);
    await rail(before - 2);
    await undo();
    await rail(before);
    await tick(second).waitFor();
  }
  await choose();
  await button(bar, "Set kind").click();
  const kinds = dialog(page, "Set kind");
  await field(kinds, "Kind").selectOption({ label: "Camera" });
  await judged(page);
  await shot("08-kind");
  await button(kinds, "Set kind").click();
  await said(toast, "Changed the kind of 2 findings");
  const of = (name) => page.getByRole("row").filter({ has: button(page, name) });
  await said(of(first), /Camera/);
  await undo();
  await of(first)
    .getByText(/Camera/)
    .waitFor({ state: "detached" });
  await ask("POST", "/tags", { name: "cellar", color: "#3377aa" });
  await page.reload();
  await rows.first().waitFor();
  await choose();
  await button(bar, "Tag").click();
  const tags = dialog(page, "Tag");
  await tags.getByText("cellar").click();
  await judged(page);
  await shot("09-tag");
  await button(tags, "Tag 2 findings").click();
  await said(toast, "Tagged 2 findings");
  await said(of(first), "cellar");
  await undo();
  await of(first).getByText("cellar").waitFor({ state: "detached" });
});

await steps.step("a finding has its own panel, and accept opens the next one", async () => {
  await page.goto(`${url}/discovery`);
  await rows.first().click();
  await said(aside, "Evidence");
  const before = await names();
  const id = new URL(page.url()).searchParams.get("finding");
  await judgedEverywhere(`/discovery?finding=${id}`, "10-finding");
  await button(aside, "Ignore").click();
  await aside.getByRole("heading", { name: before[1], exact: true }).waitFor();
  expect(
    await page.evaluate(() => document.activeElement?.textContent.startsWith("Ignore")),
    "the focus on the button that was pressed",
  );
  await undo();
  await page.keyboard.press("Escape");
});

await steps.step(
  "by keyboard: from the first row to the third accepted finding in ten keystrokes",
  async () => {
    await page.goto(`${url}/discovery`);
    await rows.first().waitFor();
    const before = await waiting();
    await rows.first().focus();
    let strokes = 0;
    const press = async (key) => {
      strokes += 1;
      await page.keyboard.press(key);
    };
    const opened = (name) => aside.getByRole("heading", { name, exact: true }).waitFor();
    const [first, ...next] = (await names()).slice(0, 4);
    await press("Enter");
    await opened(first);
    for (const name of next) {
      await press("a");
      await opened(name);
    }
    expect(strokes <= 10, `ten keystrokes, not ${strokes}`);
    await rail(before - 3);
    await backTo(before - 3);
    expect(
      await page.evaluate(() => !!document.activeElement?.closest("tbody tr, [data-panel]")),
      "the focus in the list or the panel",
    );
    await press("u");
    await rail(before - 2);
    await page.keyboard.press("Escape");
    await aside.waitFor({ state: "detached" });
  },
);

await steps.step("the palette accepts all, and takes it back", async () => {
  const before = await waiting();
  const all = `Accept all ${before}`;
  await page.getByRole("link", { name: "Networks" }).click();
  for (const taken of [true, false]) {
    await page.keyboard.press("Control+k");
    // Its code may come only now: what is typed before goes nowhere.
    await page.getByRole("combobox", { name: "Search and commands" }).fill("accept all");
    await page.getByRole("option", { name: new RegExp(`^${all}\\b`), selected: true }).waitFor();
    await page.keyboard.press("Enter");
    const question = page.getByRole("alertdialog").or(dialog(page, all));
    await said(question, "become part of your inventory");
    await button(question, all).click();
    await said(toast, `Accepted ${before} findings`);
    await page.getByRole("link", { name: "Discovery", exact: true }).waitFor();
    expect((await waiting()) === 0, "nothing to wait");
    if (!taken) break;
    await undo();
    await rail(before);
  }
});

const found = async () =>
  (await ask("GET", "/assets?limit=500")).items.find((one) => one.addresses.includes(plug.ip));
const scanned = async () => {
  await page.goto(`${url}/discovery?tab=scans`);
  await page
    .locator("li", { has: page.getByText(target, { exact: true }) })
    .first()
    .getByRole("button", { name: "Scan again" })
    .click();
  await said(toast, `The scan of ${target} ended`).catch(() => {});
  await page.getByRole("progressbar").first().waitFor({ state: "detached", timeout: SCAN_MS });
  await toast.getByText(`The scan of ${target} ended`).first().waitFor({ timeout: SCAN_MS });
};

await steps.step(
  "an unplugged device is not seen since it answered last: list, panel and map say so",
  async () => {
    const asset = await found();
    expect(asset?.status === "up", `${plug.ip} to be up`);
    for (const command of plug.out) run(command);
    await scanned();
    await page.goto(`${url}/inventory?q=status:"Not seen"`);
    await button(page, asset.name).waitFor();
    expect((await rows.count()) === 1, "only the one that was unplugged");
    await button(page, asset.name).click();
    await said(aside, /^Not seen since /);
    await said(
      aside,
      new RegExp(
        `${plug.ip.replaceAll(".", "\\.")} did not answer a scan .+\\. Before that, it answered ARP`,
      ),
    );
    await judgedEverywhere(`/inventory?selected=${asset.id}`, "11-not-seen");
    await aside.getByRole("link", { name: "Show on map" }).click();
    await page.waitForURL(/\/map/);
    await said(aside, /^Not seen since /);
    await page.waitForFunction(() => performance.getEntriesByName("map-interactive").length > 0);
    await page.waitForTimeout(600);
    await shot("12-not-seen-map");
    await page.getByText("Legend").click();
    await said(page.locator("details"), "Not seen");
    await judged(page);
    await page.goto(`${url}/map?view=list&q=status:"Not seen"`);
    await button(page, asset.name).waitFor();
  },
);

await steps.step(
  "plugged in again it is up again, without a reload of the page that one looks at",
  async () => {
    for (const command of plug.in) run(command);
    const asset = await found();
    await page.goto(`${url}/inventory?selected=${asset.id}`);
    await said(aside, /^Not seen since /);
    await ask("POST", "/scans", { targets: [target] });
    await aside.getByText(/^Up since /).waitFor({ timeout: SCAN_MS });
  },
);

watch.take();
await browser.close();
process.exit(steps.end());
