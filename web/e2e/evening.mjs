// The first evening, in a real browser on a real server: set up by the printed link, scan, accept, see the map, drag,
// document, verify, leave. Any console error, content-policy report, failed request or axe violation fails the step.
//
//   CB_E2E_URL        https://127.0.0.1:8443
//   CB_E2E_SETUP_URL  the printed link, with #code=...
//   CB_E2E_TARGET     the network to scan, such as 10.77.1.0/24
//   CB_E2E_HOSTS      at least so many findings are expected (default 1)
//   CB_E2E_KEEP       keep the administrator's name and password for later runs (USER:PASSWORD)
import { readFileSync } from "node:fs";
import { axe, env, expect, launch, SHOTS, Steps, still, watchedPage } from "./browser.mjs";

const url = env("CB_E2E_URL").replace(/\/$/, "");
const setupUrl = env("CB_E2E_SETUP_URL");
const target = env("CB_E2E_TARGET");
const least = Number(process.env.CB_E2E_HOSTS ?? 1);
const [username, password] = (process.env.CB_E2E_KEEP ?? "maria:seven green kettles sing").split(":");
const SCAN_MS = Number(process.env.CB_E2E_SCAN_MS ?? 180_000);

const browser = await launch();
const context = await browser.newContext({
  ignoreHTTPSErrors: true,
  viewport: { width: 1360, height: 860 },
  colorScheme: "dark",
});
context.setDefaultTimeout(15_000);
const watch = await watchedPage(context, url);
const { page } = watch;
const steps = new Steps(watch);
const shot = (name) => page.screenshot({ path: `${SHOTS}${name}.png` });
const open = (row) => page.locator("tbody [data-row-open]", { hasText: row }).first().click();
const panel = page.locator("aside");
const mapReady = () => page.waitForFunction(() => performance.getEntriesByName("map-interactive").length > 0);
let accepted = 0;
let dragged = { name: "", id: "", x: 0, y: 0 };

await steps.step("every page leads to setup before it is done", async () => {
  watch.allow(503, /^\/api\/v1\//);
  await page.goto(`${url}/inventory`);
  await page.waitForURL(/\/setup$/);
});

await steps.step("a wrong code is refused in words", async () => {
  watch.allow(403, /\/setup$/);
  await page.getByLabel("Setup code").fill("WRONG-CODE");
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create administrator" }).click();
  await page.getByText("This setup code is wrong").waitFor();
});

await steps.step(
  "the printed link carries the code in its fragment, which leaves the address bar",
  async () => {
    await page.goto("about:blank");
    await page.goto(setupUrl);
    await page.getByRole("heading", { name: "Create the administrator" }).waitFor();
    await page.waitForFunction(() => location.hash === "");
    expect(
      (await page.getByLabel("Setup code").count()) === 0,
      "the code field to be hidden when the link brought the code",
    );
    await page.getByLabel("Password", { exact: true }).fill("short");
    await page.getByText("Too short").waitFor();
    await shot("01-setup");
  },
);

await steps.step("the administrator is made", async () => {
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByText("Strong password").waitFor();
  await page.getByRole("button", { name: "Create administrator" }).click();
  await page.waitForURL(/step=network/);
});

await steps.step("the wizard says what the scanner can do and shows exactly what it will send", async () => {
  await page.getByText("What is on your network?").waitFor();
  await page.getByText("TCP", { exact: true }).waitFor();
  await page.getByLabel("Targets").fill("10.0.0.1/99");
  await page.getByText("neither an address nor a network").waitFor();
  await page.getByLabel("Targets").fill(target);
  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByRole("dialog", { name: "What the scan will send" }).waitFor();
  await shot("02-dry-run");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await shot("03-first-scan");
});

await steps.step("the first scan runs live and ends", async () => {
  await page.getByRole("button", { name: "Start first scan" }).click();
  await page.waitForURL(/\/discovery/);
  await page
    .getByRole("progressbar")
    .first()
    .waitFor({ timeout: 10_000 })
    .catch(() => {});
  await shot("04-scan-running");
  await page.getByRole("progressbar").first().waitFor({ state: "detached", timeout: SCAN_MS });
  await page.getByRole("tab", { name: "Scans" }).click();
  await page
    .getByText(/Completed|Partly done/)
    .first()
    .waitFor();
  await shot("05-scans");
});

await steps.step("findings stand with their evidence", async () => {
  await page.getByRole("tab", { name: "To review" }).click();
  const rows = page.locator("tbody [data-row-open]");
  await rows.first().waitFor();
  expect((await rows.count()) >= Math.min(least, 10), `at least ${least} findings`);
  await rows.first().click();
  await panel.getByText("Evidence", { exact: true }).waitFor();
  await shot("06-finding");
});

await steps.step("one is accepted under a name of one's own", async () => {
  await panel.getByLabel("Name").fill("Renamed by hand");
  await panel.getByRole("button", { name: "Accept" }).click();
  await page.getByText("Accepted Renamed by hand").waitFor();
});

await steps.step("one is ignored and reopened", async () => {
  const rows = page.locator("tbody [data-row-open]");
  if ((await rows.count()) < 2) return;
  await rows.first().click();
  const title = await panel.getByRole("heading", { level: 2 }).textContent();
  await panel.getByRole("button", { name: "Ignore" }).click();
  await panel.getByRole("heading", { level: 2, name: title, exact: true }).waitFor({ state: "detached" });
  await page.getByRole("tab", { name: "Ignored" }).click();
  await rows.first().click();
  await panel.getByRole("button", { name: "Reopen" }).click();
  await page.getByText("No findings ignored").waitFor();
  await page.getByRole("tab", { name: "To review" }).click();
});

await steps.step("the rest is accepted at once", async () => {
  const all = page.getByRole("button", { name: /^Accept (all \d+|it)$/ });
  await all.waitFor();
  await all.click();
  await page.getByRole("button", { name: "Show on map" }).last().waitFor({ timeout: 60_000 });
  await page.getByText("Nothing to review").waitFor();
  await shot("07-accepted");
});

await steps.step("the map shows them", async () => {
  await page.getByRole("button", { name: "Show on map" }).last().click();
  await mapReady();
  accepted = await page.evaluate(async () => (await (await fetch("/api/v1/map")).json()).nodes.length);
  expect(accepted >= least, `at least ${least} nodes on the map, not ${accepted}`);
  await page.getByText(new RegExp(`^${accepted} nodes?$`)).waitFor();
});

await steps.step(
  "a picture of the map for the README: light, nothing chosen, nothing lying on it",
  async () => {
    await page.emulateMedia({ colorScheme: "light" });
    // Opened anew: what the last steps told has gone with their page.
    await page.goto(`${url}/map`);
    await mapReady();
    await page.mouse.move(2, 2);
    await still(page);
    expect((await panel.count()) === 0, "nothing to be chosen");
    // The page keeps room for messages as long as there are any.
    await page.waitForFunction(() => document.documentElement.style.getPropertyValue("--toast") === "0px");
    await shot("08-map");
    await page.emulateMedia({ colorScheme: "dark" });
  },
);

await steps.step("search finds a node and opens its panel", async () => {
  await page.keyboard.press("/");
  await page.keyboard.type("Renamed by hand");
  await page.keyboard.press("Enter");
  await panel.getByRole("heading", { name: "Renamed by hand" }).waitFor();
  const id = new URL(page.url()).searchParams.get("selected");
  expect(id, "the selection to stand in the URL");
  dragged = { ...dragged, id, name: "Renamed by hand" };
  await still(page);
  await shot("09-map-selected");
});

await steps.step("a node is dragged and its place is saved", async () => {
  // The search put it into the middle of the picture.
  const box = await page.locator("[data-map]").boundingBox();
  const from = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const saved = page.waitForResponse(
    (r) => r.url().endsWith("/map/positions") && r.request().method() === "PUT",
  );
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move(from.x + 60, from.y - 90, { steps: 6 });
  await page.mouse.move(from.x + 140, from.y - 190, { steps: 6 });
  await page.mouse.up();
  const response = await saved;
  expect(response.status() === 204, `204, not ${response.status()}`);
  const [place] = response.request().postDataJSON().positions;
  expect(place.asset_id === dragged.id, "the dragged node to be the saved one");
  dragged = { ...dragged, x: place.x, y: place.y };
  await panel.getByRole("button", { name: "Unpin" }).waitFor();
  await shot("10-map-dragged");
});

await steps.step("after a reload it is still there", async () => {
  const map = page.waitForResponse((r) => r.url().endsWith("/api/v1/map"));
  await page.reload();
  const node = (await (await map).json()).nodes.find((one) => one.id === dragged.id);
  expect(
    Math.abs(node.x - dragged.x) < 1e-6 && Math.abs(node.y - dragged.y) < 1e-6,
    `the saved place, not ${node.x} ${node.y}`,
  );
  await mapReady();
  await panel.getByRole("heading", { name: dragged.name }).waitFor();
  await panel.getByRole("button", { name: "Unpin" }).waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
});

await steps.step("arrow keys walk the map and a dot opens", async () => {
  await page.getByRole("application").focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press(".");
  await panel.waitFor();
  await page.keyboard.press("f");
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
});

await steps.step("the list view shows the same", async () => {
  await page.getByRole("searchbox", { name: "Find on the map" }).fill("");
  await page.waitForFunction(() => !location.search.includes("q="));
  await page.getByRole("button", { name: "List" }).click();
  await page.waitForURL(/view=list/);
  const table = page.getByRole("table", { name: "The map as a list" });
  await table.waitFor();
  expect(Number(await table.getAttribute("aria-rowcount")) === accepted + 1, `${accepted} rows and the head`);
  await shot("11-map-list");
  // Which machine was accepted first is the scan's choice, so its row may be far down, where the table has drawn none yet.
  await page.getByRole("searchbox", { name: "Find on the map" }).fill(dragged.name);
  await page
    .getByRole("row", { name: /Renamed by hand/ })
    .getByText("Pinned")
    .waitFor();
  await page.getByRole("searchbox", { name: "Find on the map" }).fill("");
  await page.waitForFunction(() => !location.search.includes("q="));
});

await steps.step("an asset is added, with a tag made on the way", async () => {
  await page.getByRole("link", { name: "Inventory", exact: true }).click();
  await page.getByRole("button", { name: "Add asset" }).click();
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("This field is required.").waitFor();
  await panel.getByLabel("Name").fill("Backup vault");
  await panel.getByLabel("Addresses").fill("198.51.100.6, 198.51.100");
  await panel.getByLabel("Kind").selectOption("storage");
  await panel.getByLabel("Role", { exact: true }).selectOption("nas");
  await panel.getByLabel("New tag").fill("critical");
  await panel.getByRole("button", { name: "Create" }).click();
  await panel.getByRole("checkbox", { name: "critical" }).and(page.locator(":checked")).waitFor();
  await panel.getByLabel("Notes").fill("Second shelf. Do not unplug.");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("“198.51.100” is not an IP address.").waitFor();
  await panel.getByLabel("Addresses").fill("198.51.100.6");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByRole("heading", { name: "Backup vault" }).waitFor();
  await panel.getByText("198.51.100.6").waitFor();
});

await steps.step("it gets an interface, an address and a link", async () => {
  await panel.getByRole("button", { name: "Add an interface" }).click();
  await panel.getByLabel("Name").fill("eth0");
  await panel.getByLabel("MAC address").fill("02:00:00:aa:bb:cc");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("02:00:00:aa:bb:cc").waitFor();
  await panel.getByRole("button", { name: "Add an address" }).click();
  await panel.getByLabel("IP address").fill("10.0.0.999");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Enter an IP address, such as").waitFor();
  await panel.getByLabel("IP address").fill("198.51.100.7");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("198.51.100.7").waitFor();
  await panel.getByRole("button", { name: "Draw a link" }).click();
  await panel.getByLabel("To", { exact: true }).fill("Renamed");
  await panel.getByRole("button", { name: /Renamed by hand/ }).click();
  await panel.getByLabel("Label").fill("backup run");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Drawn by hand").waitFor();
  await shot("12-asset");
});

await steps.step("it is edited, found by the search language, and downloaded as CSV", async () => {
  await panel.getByRole("button", { name: "Edit Backup vault" }).click();
  await panel.getByLabel("Vendor").fill("Acme");
  await panel.getByLabel("Status").selectOption("Maintenance");
  await shot("12-asset-form");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Acme").waitFor();
  await panel.getByText("Set by hand. The automatic status would be “Unknown”.").waitFor();
  await shot("12-asset-status");
  await panel.getByRole("button", { name: "Close" }).click();
  const search = page.getByRole("searchbox", { name: /^Filter, such as kind/ });
  await search.fill("kind:storage tag:critical status:maintenance");
  await page.waitForURL(/q=kind/);
  await page.waitForFunction(() => document.querySelectorAll("tbody [data-row-open]").length === 1);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download these rows as CSV" }).click();
  const csv = readFileSync(await (await download).path(), "utf8");
  expect(csv.includes("Backup vault") && csv.trim().split("\r\n").length === 2, `one row of CSV, not ${csv}`);
});

await steps.step("its delete can be taken back, and is sent ten seconds later when not", async () => {
  let sent = 0;
  const count = (request) => {
    if (request.method() === "DELETE") sent += 1;
  };
  page.on("request", count);
  await open("Backup vault");
  await panel.getByRole("button", { name: "Delete Backup vault" }).click();
  await page.getByText("Nothing matches").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await open("Backup vault");
  expect(sent === 0, "nothing to be sent before the undo time is over");
  const gone = page.waitForResponse((r) => r.request().method() === "DELETE", { timeout: 40_000 });
  await panel.getByRole("button", { name: "Delete Backup vault" }).click();
  expect((await gone).status() === 204, "204");
  page.off("request", count);
  await page.getByText("Nothing matches").waitFor();
  await page.getByRole("button", { name: "Clear the filter" }).click();
});

await steps.step("tables sort by click and by keyboard, and the address remembers", async () => {
  const header = (name) => page.getByRole("columnheader", { name });
  await page.getByRole("link", { name: "Inventory", exact: true }).click();
  await header("Addresses").getByRole("button").click();
  await page.waitForURL(/sort=address/);
  expect((await header("Addresses").getAttribute("aria-sort")) === "ascending", "told to a screen reader");
  await header("Addresses").getByRole("button").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/sort=-address/);
  expect((await header("Addresses").getAttribute("aria-sort")) === "descending", "turned round by keyboard");
  await page.reload();
  await page.locator("tbody [data-row-open]").first().waitFor();
  expect((await header("Addresses").getAttribute("aria-sort")) === "descending", "and after a reload");
});

await steps.step("rows are walked with j and k, selected with x, opened with Enter", async () => {
  const rows = page.locator("tbody [data-row-open]");
  await rows.first().focus();
  await page.keyboard.press("j");
  expect(
    (await page.evaluate(() => document.activeElement?.closest("tr")?.dataset.row)) === "1",
    "j goes down",
  );
  await page.keyboard.press("k");
  await page.keyboard.press("x");
  expect(await page.locator("tbody input[type=checkbox]").first().isChecked(), "x selects");
  await page.keyboard.press("x");
  await page.keyboard.press("Enter");
  await panel.waitFor();
  await page.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
});

await steps.step("a filter that nobody knows shows nothing, and offers what is known", async () => {
  const search = page.getByRole("searchbox", { name: /^Filter, such as kind/ });
  await search.fill("status:asleep");
  await page.getByText("There is no status “asleep”. You can use:").waitFor();
  expect((await page.locator("tbody [data-row-open]").count()) === 0, "no row");
  await page.getByRole("button", { name: "Unknown", exact: true }).click();
  await page.waitForURL(/status/);
  await page.getByText("There is no status").waitFor({ state: "detached" });
  await search.fill("color:red");
  await page.getByText("There is no filter “color:”").waitFor();
  await search.fill("");
  await page.locator("tbody [data-row-open]").first().waitFor();
});

await steps.step("the server writes the list as CSV, in the words that the page shows", async () => {
  const arrives = page.waitForEvent("download");
  await page.getByRole("link", { name: /CSV/ }).click();
  const file = await (await arrives).createReadStream();
  let text = "";
  for await (const part of file) text += part;
  expect(text.includes('"Name","Status","Addresses","Kind"'), "the headers of the page");
  expect(text.includes('"Up"') || text.includes('"Unknown"'), "the words of the page");
});

await steps.step("a column is hidden, rows are packed, and both are remembered", async () => {
  const vendor = page.getByRole("columnheader", { name: "Vendor" });
  await vendor.waitFor();
  await page.getByRole("button", { name: "Columns and density" }).click();
  await page.getByRole("menuitemcheckbox", { name: "Vendor" }).click();
  await vendor.waitFor({ state: "detached" });
  await page.getByRole("menuitemradio", { name: "Compact" }).click();
  await page.keyboard.press("Escape");
  await page.reload();
  await page.locator("tbody [data-row-open]").first().waitFor();
  expect((await vendor.count()) === 0, "still hidden after a reload");
  await page.getByRole("button", { name: "Columns and density" }).click();
  await page.getByRole("menuitemcheckbox", { name: "Vendor" }).click();
  await page.getByRole("menuitemradio", { name: "Comfortable" }).click();
  await page.keyboard.press("Escape");
  await vendor.waitFor();
});

await steps.step("a view is saved, opened after a reload and from the palette, and deleted", async () => {
  const before = page.url();
  const views = page.getByRole("button", { name: /^Views/ });
  const open = page.getByRole("button", { name: "Views. “Walked devices” is open.", exact: true });
  await page.goto(`${url}/inventory?q=kind%3Adevice&sort=-name`);
  await views.click();
  await page.getByRole("menuitem", { name: "Save as a new view" }).press("Enter");
  await page.getByLabel("Name", { exact: true }).fill("Walked devices");
  await page.keyboard.press("Enter");
  await open.waitFor();
  await page.reload();
  await open.waitFor();
  await page.goto(`${url}/inventory`);
  await views.click();
  await page.getByRole("menuitemradio", { name: "Walked devices" }).click();
  await page.waitForURL((at) => at.searchParams.get("q") === "kind:device" && at.searchParams.has("view"));
  await page.goto(`${url}/networks`);
  await page.getByRole("heading", { name: "Networks" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("walked dev");
  await page.getByRole("option", { name: /Walked devices/ }).click();
  await open.click();
  await page.getByRole("menuitem", { name: "Delete “Walked devices”" }).click();
  // Leaving the page sends what can be undone.
  await page.goto(before);
  await page.waitForFunction(async () => (await (await fetch("/api/v1/views")).json()).length === 0);
  await page.reload();
  await views.click();
  await page.getByText("You have no saved views of this table yet.").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("tbody [data-row-open]").first().waitFor();
});

await steps.step("several are tagged at once", async () => {
  await page.locator("tbody input[type=checkbox]").first().check();
  await page.getByRole("button", { name: "Add tags" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("checkbox", { name: "critical" }).check();
  await dialog.getByRole("button", { name: /^Add to 1 asset/ }).click();
  await page.getByText("Tagged 1 asset").waitFor();
  await shot("13-inventory");
});

await steps.step("a network is added, edited and deleted", async () => {
  await page.getByRole("link", { name: "Networks" }).click();
  await page.getByRole("button", { name: "Add network" }).first().click();
  await panel.getByLabel("Name").fill("Attic");
  await panel.getByLabel("Network", { exact: true }).fill("198.51.100.0/33");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Enter a network, such as").waitFor();
  await panel.getByLabel("Network", { exact: true }).fill("203.0.113.0/24");
  await panel.getByLabel("VLAN").fill("42");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByRole("heading", { name: "Attic" }).waitFor();
  await panel.getByRole("button", { name: "Edit Attic" }).click();
  await panel.getByLabel("Gateway").fill("203.0.113.1");
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("203.0.113.1").first().waitFor();
  await panel.getByRole("button", { name: "Delete Attic" }).click();
  await page.getByRole("button", { name: "Attic", exact: true }).waitFor({ state: "detached" });
  await shot("14-networks");
});

await steps.step("the palette finds an asset and a page", async () => {
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Enter a name, an address or a page").fill("Renamed");
  await page.getByRole("option", { name: /Renamed by hand/ }).waitFor();
  await shot("15-palette");
  await page.keyboard.press("Enter");
  await panel.getByRole("heading", { name: "Renamed by hand" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByPlaceholder("Enter a name, an address or a page").fill("audit");
  await page.getByRole("option", { name: "Audit log", exact: true }).click();
  await page.waitForURL(/\/audit/);
});

await steps.step("the audit log verifies", async () => {
  await page.getByRole("button", { name: "Verify the log" }).click();
  await page.getByText("The log is intact").waitFor();
  await shot("16-audit");
});

await steps.step("settings are kept", async () => {
  await page.getByRole("link", { name: "Settings" }).click();
  const name = page.getByRole("textbox", { name: "Name" });
  await name.fill("Attic lab");
  await page.locator("form").filter({ has: name }).getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved", { exact: true }).waitFor();
  await page.reload();
  await page.getByRole("textbox", { name: "Name" }).waitFor();
  expect(
    (await page.getByRole("textbox", { name: "Name" }).inputValue()) === "Attic lab",
    "the name to be kept",
  );
  await shot("17-settings");
});

await steps.step("Operations says how the server does, and what it does by itself", async () => {
  await page.getByRole("link", { name: "Open operations" }).click();
  await page.getByText("Everything works.").waitFor();
  await page.getByText("Answered this page", { exact: true }).waitFor();
  await page.getByText("Sign the audit log").waitFor();
  await page.getByText("The server has not given up any job.").waitFor();
  await shot("17-operations");
});

const places = [
  "/map",
  "/map?view=list",
  `/map?selected=${dragged.id}`,
  "/inventory",
  `/inventory?selected=${dragged.id}`,
  "/inventory?panel=new",
  "/networks",
  "/networks?selected=new",
  "/discovery",
  "/discovery?state=accepted",
  "/discovery?tab=scans",
  "/discovery?scan=new",
  "/notifications",
  "/notifications?panel=new",
  "/notifications/channels",
  "/notifications/incoming",
  "/vault/keys",
  "/audit",
  "/settings",
  "/settings/operations",
  "/nowhere",
];
for (const scheme of ["dark", "light"]) {
  for (const [size, viewport] of [
    ["desk", { width: 1360, height: 860 }],
    ["phone", { width: 390, height: 844 }],
  ]) {
    for (const place of places) {
      await steps.step(
        `axe: ${place.replace(/selected=[0-9a-f-]{8,}/, "selected=…")}, ${scheme}, ${size}`,
        async () => {
          await page.setViewportSize(viewport);
          await page.emulateMedia({ colorScheme: scheme });
          await page.goto(url + place);
          await page.locator("h1, h2").first().waitFor();
          if (place.startsWith("/map") && !place.includes("list")) await mapReady();
          else await page.waitForTimeout(250);
          // Skeletons are drawn while loading; what is judged is what stays.
          await page.waitForFunction(() => !document.querySelector(".skeleton"));
          await page.waitForTimeout(200);
          const name = place
            .replace(/\?.*selected=(?!new).*/, "-selected")
            .replace(/[^a-z]+/g, "-")
            .replace(/^-|-$/g, "");
          await shot(`${size}-${scheme}-${name}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect(wide <= 0, `no sideways scrolling, not ${wide} px`);
          const violations = await axe(page);
          if (violations.length > 0) throw new Error(violations.join("\n      "));
        },
      );
    }
  }
}

await steps.step("signing out ends it, and pages ask to sign in again and come back", async () => {
  await page.setViewportSize({ width: 1360, height: 860 });
  await page.emulateMedia({ colorScheme: "dark" });
  watch.allow(401, /^\/api\/v1\//);
  await page.goto(`${url}/networks`);
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(/\/login/);
  await page.goto(`${url}/audit?q=login`);
  await page.waitForURL(/\/login\?next=/);
  for (const scheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForTimeout(200);
    const violations = await axe(page);
    if (violations.length > 0) throw new Error(violations.join("\n      "));
  }
  await shot("18-login");
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password", { exact: true }).fill("wrong password");
  await page.keyboard.press("Enter");
  await page.getByText("The username or password is wrong.").waitFor();
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/audit\?q=login/);
});

await browser.close();
process.exit(steps.end());
