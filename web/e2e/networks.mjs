// Networks and the panel of an asset, in a real browser on a real server that is already set up: how full a network is, what is free,
// who shares an address, a scan of one network, notes with hostile Markdown, services as links, and what was deleted elsewhere. Any
// console error, content-policy report, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
//   CB_E2E_TARGET                              a network with web servers that the server can scan; without it nothing is scanned
import { beginWalk, button, expect, field, judged, panel, said, signIn, site } from "./browser.mjs";

const { url, username, password } = site();
const target = process.env.CB_E2E_TARGET;
const { browser, desk, watch, page, steps, shot, ask } = await beginWalk("networks", url, {
  permissions: ["clipboard-read", "clipboard-write"],
});
const aside = panel(page);
const made = { assets: [], networks: [] };

async function network(input) {
  const { id } = await ask("POST", "/networks", input);
  made.networks.push(id);
  return id;
}
async function asset(name, ips, more = {}) {
  const { id } = await ask("POST", "/assets", { name, kind: "device", status: "up", ...more });
  made.assets.push(id);
  for (const ip of ips) await ask("POST", "/addresses", { asset_id: id, ip });
  return id;
}
const row = (name) => page.getByRole("row").filter({ has: button(page, name) });

await steps.step("a list of networks says how full each is", async () => {
  await signIn(page, url, username, password);
  await network({
    name: "Attic",
    cidr: "10.91.0.0/28",
    gateway: "10.91.0.1",
    notes: "Behind the **chimney**",
  });
  await network({ name: "Attic IPv6", cidr: "fd00:91::/64" });
  await asset("attic-router", ["10.91.0.1", "fd00:91::1"], { role: "router" });
  await asset("attic-nas", ["10.91.0.2"], { role: "nas" });
  await asset("attic-twin", ["10.91.0.4"]);
  await asset("attic-clone", ["10.91.0.4"]);
  await page.getByRole("link", { name: "Networks" }).click();
  await button(page, "Attic").waitFor();
  const meter = row("Attic").getByRole("meter");
  const words = await meter.getAttribute("aria-valuetext");
  expect(words === "3 of 14 addresses in use, 21%", `the use in words, not "${words}"`);
  await row("Attic IPv6").getByText("1 in use").waitFor();
  expect((await row("Attic IPv6").getByRole("meter").count()) === 0, "no bar without an end");
  await row("Attic").getByRole("link", { name: "attic-router" }).waitFor();
  await judged(page);
  await shot("01-list");
});

await steps.step("its order and its filter are in the address", async () => {
  await page.getByRole("columnheader", { name: "Conflicts" }).getByRole("button").click();
  await page.waitForURL(/sort=-conflicts/);
  const head = page.getByRole("columnheader", { name: "Conflicts" });
  expect((await head.getAttribute("aria-sort")) === "descending", "the most conflicts first");
  await page.getByRole("searchbox", { name: "Filter by name, address or gateway" }).fill("10.91.0.9");
  await page.waitForURL(/q=10.91.0.9/);
  await button(page, "Attic IPv6").waitFor({ state: "detached" });
  await button(page, "Attic").waitFor();
  await page.getByRole("searchbox").fill("kind:Server");
  await said(page, "There is no filter “kind:”");
  expect(
    (await page.getByRole("button", { name: "Attic" }).count()) === 0,
    "nothing, rather than everything",
  );
  await page.getByRole("searchbox").fill("");
  await button(page, "Attic").waitFor();
});

await steps.step("by keyboard alone: the panel, the next free address, a conflict", async () => {
  await button(page, "Attic").focus();
  await page.keyboard.press("Enter");
  await aside.getByRole("heading", { name: "Attic" }).waitFor();
  await said(aside, "11 free");
  await page.keyboard.press("Tab");
  const copy = aside.getByRole("button", { name: "Copy 10.91.0.3" });
  for (let tabs = 0; tabs < 12; tabs++) {
    if (await copy.evaluate((element) => element === document.activeElement)) break;
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await said(aside, "Copied");
  const kept = await page.evaluate(() => navigator.clipboard.readText());
  expect(kept === "10.91.0.3", `the next free address, not ${kept}`);
  await aside.getByText("10.91.0.4").waitFor();
  await judged(page);
  await shot("02-network");
  const twin = aside.getByRole("link", { name: "attic-twin" });
  await twin.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/inventory/);
  await aside.getByRole("heading", { name: "attic-twin" }).waitFor();
  await said(aside, "This address also belongs to:");
  await judged(page);
  await shot("03-shared");
  await aside.getByRole("button", { name: "attic-clone" }).click();
  await aside.getByRole("heading", { name: "attic-clone" }).waitFor();
});

await steps.step("Scan opens the form with this network", async () => {
  await page.getByRole("link", { name: "Networks" }).click();
  await button(page, "Attic").click();
  await aside.getByRole("link", { name: "Scan Attic" }).click();
  await aside.getByRole("heading", { name: "New scan" }).waitFor();
  const text = await field(aside, "Targets").inputValue();
  expect(text === "10.91.0.0/28", `the network in the form, not "${text}"`);
  await page.keyboard.press("Escape");
  await aside.waitFor({ state: "detached" });
});

if (target)
  await steps.step("a scan tells what came of it, and a service that sent a page is a link", async () => {
    const known = (await ask("GET", "/networks?limit=500")).items.find((one) => one.cidr === target);
    const id = known?.id ?? (await network({ name: "Scanned", cidr: target }));
    await page.goto(`${url}/networks?selected=${id}`);
    await aside.getByRole("link", { name: /^Scan / }).click();
    await button(aside, "Start scan").click();
    await aside.waitFor({ state: "detached" });
    const ended = async () => (await ask("GET", `/networks/${id}`)).last_scan;
    for (let looks = 0; looks < 240; looks++) {
      const scan = await ended();
      if (scan && !["queued", "running"].includes(scan.status)) break;
      await page.waitForTimeout(1_000);
    }
    const open = await ask("GET", "/findings?state=open&limit=500");
    if (open.items.length > 0)
      await ask("POST", "/findings/accept", { ids: open.items.map((one) => one.id) });
    await page.goto(`${url}/networks?selected=${id}`);
    await said(aside, /Completed|Partly done/);
    await shot("04-scanned");
    const assets = (await ask("GET", "/assets?port=8006&limit=10")).items;
    const [found] = assets.filter((one) => one.addresses.some((ip) => ip.startsWith("10.77.1.")));
    expect(found, "a machine with a page on port 8006");
    await page.goto(`${url}/inventory?selected=${found.id}`);
    const link = aside.locator('a[target="_blank"][href*=":8006/"]');
    await link.waitFor();
    expect(
      /^https:\/\/10\.77\.1\.\d+:8006\/$/.test(await link.getAttribute("href")),
      "https, as the scan saw it",
    );
    expect((await link.getAttribute("rel")) === "noopener noreferrer", "a link that gives nothing away");
    await judged(page);
    await shot("05-services");
  });

await steps.step("notes are Markdown, and hostile ones do nothing", async () => {
  const notes = [
    "# Rack 2\n\nSecond **shelf**, see the [wiki](https://wiki.example/rack).",
    "[bad](javascript:document.title='owned') [bad](java&#115;cript:document.title='owned')",
    "<img src=x onerror=\"document.title='owned'\"> <script>document.title='owned'</script>",
    "![picture](https://pictures.example/rack.png)",
    "<style>*{display:none}</style> <iframe src='https://evil.example'></iframe>",
  ].join("\n\n");
  const id = await asset("attic-notes", ["10.91.0.5"], {
    notes,
    vendor: "Brother",
    model: "Brother HL-2270",
  });
  await page.goto(`${url}/inventory?selected=${id}`);
  await aside.getByRole("link", { name: "wiki" }).waitFor();
  const hrefs = await aside.locator("a[target=_blank]").evaluateAll((all) => all.map((one) => one.href));
  expect(
    String(hrefs) === "https://wiki.example/rack,https://pictures.example/rack.png",
    `two links, not ${hrefs}`,
  );
  expect((await aside.locator("img,script,style,iframe").count()) === 0, "nothing but text and links");
  expect(!/owned/.test(await page.title()), "a title that is ours");
  await said(aside, /^HL-2270/);
  await judged(page);
  await shot("06-notes");
  await aside.getByRole("link", { name: "Show on map" }).click();
  await page.waitForURL(/\/map/);
  await aside.getByRole("link", { name: "Open in inventory" }).click();
  await page.waitForURL(/\/inventory/);
  await aside.getByRole("heading", { name: "attic-notes" }).waitFor();
});

await steps.step("an asset that is deleted elsewhere says so, and so does an old link to it", async () => {
  watch.allow(404, /\/assets\/[0-9a-f-]+$/);
  const id = made.assets.at(-1);
  await button(aside, "Edit attic-notes").click();
  await field(aside, "Model").fill("typed by hand");
  await ask("DELETE", `/assets/${id}`);
  await said(aside, /deleted this asset while you were editing it/);
  expect((await field(aside, "Model").inputValue()) === "typed by hand", "what was typed to be there still");
  await judged(page);
  await button(aside, "Cancel").click();
  await button(page, "Discard changes").click();
  await said(aside, "attic-notes was deleted");
  await shot("07-deleted");
  await page.goto(`${url}/inventory?selected=${id}`);
  await said(aside, "This asset does not exist");
  await judged(page);
  await aside.getByRole("link", { name: "See who deleted it" }).click();
  await page.waitForURL(/\/audit/);
});

await steps.step("a phone, in the light: the list and the panel", async () => {
  const context = await browser.newContext({
    ...desk,
    viewport: { width: 390, height: 844 },
    colorScheme: "light",
    hasTouch: true,
    isMobile: true,
    storageState: await page.context().storageState(),
  });
  const phone = await context.newPage();
  await phone.goto(`${url}/networks`);
  await button(phone, "Attic").waitFor();
  await judged(phone);
  await shot("08-phone", phone);
  await button(phone, "Attic").click();
  await panel(phone).getByText("10.91.0.4").waitFor();
  await judged(phone);
  await shot("09-phone-panel", phone);
  await context.close();
});

await steps.step("somebody else saves the same network: what was typed stays, and one decides", async () => {
  const id = await network({ name: "Cellar", cidr: "10.92.0.0/28" });
  await page.goto(`${url}/networks?selected=${id}`);
  await button(aside, "Edit Cellar").click();
  await field(aside, "Name").fill("Wine cellar");
  await ask("PATCH", `/networks/${id}`, { name: "Basement", notes: "Dry since May" });
  watch.allow(412, /\/networks\//);
  await button(aside, "Save").click();
  await said(aside, "while you were editing it");
  await said(aside, "Basement");
  expect((await field(aside, "Name").inputValue()) === "Wine cellar", "the text to stay");
  expect((await field(aside, "Notes").inputValue()) === "Dry since May", "what was not touched to be new");
  await judged(page);
  await shot("conflict");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await aside.getByRole("heading", { name: "Wine cellar" }).waitFor();
  await said(aside, "Dry since May");
  await page.keyboard.press("Escape");
});

await steps.step("what this walk has made is gone again", async () => {
  for (const id of made.assets) await ask("DELETE", `/assets/${id}`).catch(() => {});
  for (const id of made.networks) await ask("DELETE", `/networks/${id}`);
  watch.take();
});

watch.take();
await browser.close();
process.exit(steps.end());
