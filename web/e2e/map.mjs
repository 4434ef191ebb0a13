// The map, in a real browser on a real server that is already set up: what it says, what a hand does with it, and that
// nothing moves that nobody moved. Any console error, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
import { beginWalk, button, expect, judged, panel, signIn, site, still, until } from "./browser.mjs";

const { url, username, password } = site();
const { browser, desk, watch, page, steps, shot, ask } = await beginWalk("map", url, {}, "pages");
const ready = (on = page) =>
  on.waitForFunction(() => performance.getEntriesByName("map-interactive").length > 0);
const aside = panel(page);

const ids = {};
const networks = [];
async function add(name, role, addresses, hub) {
  const { id } = await ask("POST", "/assets", { name, kind: "device", role, status: "up" });
  ids[name] = id;
  for (const ip of addresses) await ask("POST", "/addresses", { asset_id: id, ip });
  if (hub) await ask("POST", "/links", { a_asset_id: hub, b_asset_id: id, kind: "ethernet" });
  return id;
}
/** Seat of each node, by its id, as this browser remembers them, once there are so many: the page writes them down a moment later. */
const seats = (count) =>
  until(
    () =>
      page.evaluate(() => {
        const { groups } = JSON.parse(localStorage.getItem("cb.map.seats") ?? '{"groups":{}}');
        return Object.fromEntries(Object.values(groups).flatMap((group) => Object.entries(group.seats)));
      }),
    (all) => Object.keys(all).length === count,
    `${count} seats`,
  );
const answerTo = (method) =>
  page.waitForResponse((r) => r.url().includes("/map/positions") && r.request().method() === method);
async function find(name) {
  await page.getByRole("searchbox", { name: "Find on the map" }).fill(name);
  await page.keyboard.press("Enter");
  await aside.getByRole("heading", { name }).waitFor();
  await still(page);
}

/** The widest thing on the map that a click opens: a card is wider than any node. And its middle. */
const widest = (on) =>
  on.evaluate(() => {
    const map = document.querySelector("[data-map]");
    const { left, right, top, bottom } = map.getBoundingClientRect();
    const opens = (clientX, clientY) => {
      const how = { clientX, clientY, bubbles: true, pointerType: "mouse", pointerId: 1 };
      (map.querySelector("canvas") ?? map).dispatchEvent(new PointerEvent("pointermove", how));
      return map.style.cursor === "pointer";
    };
    let best = { width: 0, x: 0, y: 0 };
    for (let y = top + 8; y < bottom; y += 6)
      for (let x = left + 4, from = -1; x < right; x += 4) {
        if (!opens(x, y)) from = -1;
        else if (from < 0) from = x;
        else if (x - from > best.width) best = { width: x - from, x: (from + x) / 2, y: y + 3 };
      }
    return best;
  });

await steps.step("two networks with a gateway in both", async () => {
  await signIn(page, url, username, password);
  for (const [name, cidr] of [
    ["Home", "10.90.0.0/24"],
    ["Lab", "10.90.1.0/24"],
  ])
    networks.push((await ask("POST", "/networks", { name, cidr })).id);
  const gateway = await add("gateway", "router", ["10.90.0.1", "10.90.1.1"]);
  const point = await add("hall", "access-point", ["10.90.0.2"], gateway);
  for (let at = 0; at < 14; at++) await add(`phone-${at}`, "phone", [`10.90.0.${20 + at}`], point);
  for (let at = 0; at < 5; at++) await add(`rack-${at}`, "server", [`10.90.1.${20 + at}`]);
  await page.goto(`${url}/map`);
  await ready();
  await still(page);
  await shot("01-desk");
});

await steps.step("a pan shows what drawing anew would show", async () => {
  const box = await page.locator("[data-map]").boundingBox();
  // Without the legend and the buttons.
  const clip = { x: box.x, y: box.y, width: box.width - 70, height: box.height - 70 };
  const map = page.getByRole("application");
  const pan = async (dx, dy) => {
    const [x, y] = [box.x + box.width / 2, box.y + 12];
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(x + dx / 2, y + dy / 2, { steps: 3 });
    await page.mouse.move(x + dx, y + dy, { steps: 3 });
    // Held: what is let go while it moves glides on.
    await page.waitForTimeout(150);
    await page.mouse.up();
    await page.mouse.move(box.x + 2, box.y + box.height - 2);
  };
  for (const [dx, dy] of [
    [0, 0],
    [137, 91],
    [-301, -35],
    [48, 203],
  ]) {
    await pan(dx, dy);
    const panned = await still(page, { clip });
    const colors = await page.evaluate(async (png) => {
      const bytes = Uint8Array.from(atob(png), (one) => one.charCodeAt(0));
      const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
      const { width, height } = picture;
      const context = new OffscreenCanvas(width, height).getContext("2d");
      context.drawImage(picture, 0, 0);
      return new Set(new Uint32Array(context.getImageData(0, 0, width, height).data.buffer)).size;
    }, panned);
    expect(colors > 20, `a picture of many colors, not ${colors}`);
    // Hides the groups and shows them again.
    await map.press("g");
    const bare = await still(page, { clip, unlike: panned });
    await map.press("g");
    expect((await still(page, { clip, unlike: bare })) === panned, `the same after a pan by ${dx}, ${dy}`);
  }
  await map.press("f");
  await still(page);
});

await steps.step("a drag is undone and done again by keys", async () => {
  await find("phone-3");
  const box = await page.locator("[data-map]").boundingBox();
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
  const saved = answerTo("PUT");
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 60, y + 40, { steps: 4 });
  await page.mouse.move(x + 150, y + 110, { steps: 4 });
  await page.mouse.up();
  const [place] = (await saved).request().postDataJSON().positions;
  expect(place.asset_id === ids["phone-3"], "the node in the middle to be the dragged one");
  await aside.getByRole("button", { name: "Unpin" }).waitFor();
  await shot("02-dragged");
  const taken = answerTo("DELETE");
  await page.keyboard.press("Control+z");
  expect((await taken).status() === 204, "the place to be given back");
  await aside.getByRole("button", { name: "Unpin" }).waitFor({ state: "detached" });
  const again = answerTo("PUT");
  await page.keyboard.press("Control+Shift+Z");
  const [same] = (await again).request().postDataJSON().positions;
  expect(same.x === place.x && same.y === place.y, "the same place again");
  const unpinned = answerTo("DELETE");
  await aside.getByRole("button", { name: "Unpin" }).click();
  await unpinned;
  const back = answerTo("PUT");
  await page.keyboard.press("Control+z");
  const [given] = (await back).request().postDataJSON().positions;
  expect(given.x === place.x && given.y === place.y, "the unpin to be undone");
  await page.keyboard.press("Escape");
  await aside.waitFor({ state: "detached" });
});

await steps.step(
  "arrow keys go on from what was found, and nothing is centered while it is in view",
  async () => {
    // It is in the middle of its network: there is a node on each side.
    await find("gateway");
    await button(aside, "Close").click();
    await aside.waitFor({ state: "detached" });
    await page.getByRole("application").focus();
    const spoken = page.locator("p[aria-live=polite]");
    await page.keyboard.press("ArrowRight");
    const first = await spoken.textContent();
    await page.keyboard.press("ArrowDown");
    await page.waitForFunction(
      (was) => document.querySelector("p[aria-live=polite]").textContent !== was,
      first,
    );
    await page.keyboard.press("f");
  },
);

await steps.step("nothing moves when nodes are removed, nor after a reload", async () => {
  const before = await seats(21);
  for (const name of ["phone-0", "phone-5", "rack-1"]) {
    await ask("DELETE", `/assets/${ids[name]}`);
    delete ids[name];
  }
  await page.getByText("18 nodes").waitFor();
  await page.reload();
  await ready();
  // Time to write down a seat that is wrong.
  await page.waitForTimeout(800);
  const after = await seats(18);
  for (const [id, seat] of Object.entries(after))
    expect(String(before[id]) === String(seat), `${id} to stay at ${before[id]}, not ${seat}`);
  await add("phone-new", "phone", ["10.90.0.200"]);
  await page.getByText("19 nodes").waitFor();
  const grown = await seats(19);
  for (const [id, seat] of Object.entries(after))
    expect(String(grown[id]) === String(seat), `${id} to stay at ${seat}, not ${grown[id]}`);
});

await steps.step("on a phone a tap selects, the panel comes from below, and one finger pans", async () => {
  const context = await browser.newContext({
    ...desk,
    viewport: { width: 390, height: 844 },
    colorScheme: "light",
    hasTouch: true,
    isMobile: true,
    storageState: await page.context().storageState(),
  });
  const phone = await context.newPage();
  await phone.goto(`${url}/map`);
  await ready(phone);
  await still(phone);
  await shot("03-phone", phone);
  // So near that its title is not on the screen.
  await button(phone, "Zoom in").click();
  await button(phone, "Zoom in").click();
  await phone.locator("[data-map-where]", { hasText: /Home.*15 nodes/ }).waitFor();
  // In a window so small even a few nodes are far away.
  await phone.setViewportSize({ width: 390, height: 520 });
  await button(phone, "Show all (f)").click();
  await still(phone);
  await shot("03-phone-all", phone);
  const card = await widest(phone);
  expect(card.width > 60, `a card to speak for a network, not ${card.width} px`);
  const cards = await still(phone);
  await phone.touchscreen.tap(card.x, card.y);
  await still(phone, { unlike: cards });
  expect(!new URL(phone.url()).searchParams.has("selected"), "a card to open its network, not a node");
  expect((await widest(phone)).width < 60, "the nodes to speak for themselves then");
  await shot("03-phone-opened", phone);
  // A phone's own keyboard takes a part of the page until the search is sent.
  await phone.getByRole("searchbox", { name: "Find on the map" }).fill("hall");
  await phone.keyboard.press("Enter");
  await phone.setViewportSize({ width: 390, height: 844 });
  const sheet = panel(phone);
  await sheet.getByRole("heading", { name: "hall" }).waitFor();
  await still(phone);
  const { y } = await sheet.boundingBox();
  expect(y > 300, `the panel below the map, not at ${y}`);
  await shot("04-phone-panel", phone);
  // The found node is in the middle of what the panel leaves.
  const left = await phone.locator("[data-map]").boundingBox();
  await phone.touchscreen.tap(left.x + left.width / 2, (left.y + y) / 2);
  await still(phone);
  expect(new URL(phone.url()).searchParams.get("selected") === ids.hall, "the found node above the panel");
  await button(sheet, "Close").click();
  await sheet.waitFor({ state: "detached" });
  const unmoved = await still(phone);
  const map = await phone.locator("[data-map]").boundingBox();
  const moved = [];
  phone.on("request", (r) => r.url().includes("/map/positions") && moved.push(r.method()));
  const hand = await context.newCDPSession(phone);
  const touch = (type, points) => hand.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  const middle = { x: map.x + map.width / 2, y: map.y + map.height / 2 };
  await touch("touchStart", [middle]);
  for (let step = 1; step <= 6; step++)
    await touch("touchMove", [{ x: middle.x + 15 * step, y: middle.y + 5 * step }]);
  await touch("touchEnd", []);
  await still(phone, { unlike: unmoved });
  expect(moved.length === 0, "a finger on a node to pan, not to drag it");
  await judged(phone);
  await context.close();
});

await steps.step("the map stands up to axe", async () => {
  await judged(page);
});

await steps.step("what this walk has made is gone again", async () => {
  await page.goto(`${url}/inventory`);
  for (const id of Object.values(ids)) await ask("DELETE", `/assets/${id}`);
  for (const id of networks) await ask("DELETE", `/networks/${id}`);
  watch.take();
});

watch.take();
await browser.close();
process.exit(steps.end());
