// The server goes away and comes back, in a real browser: it is stopped, it is stalled, it is upgraded; and what somebody types meanwhile.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   a server of its own, and an administrator without a second factor
//   CB_E2E_SERVER                              how to start it anew: JSON with pid, command, folder, environment and log
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import {
  beginWalk,
  button,
  env,
  expect,
  field,
  judged,
  panel,
  rested,
  said,
  signIn,
  signInHere,
  site,
  until,
} from "./browser.mjs";

const { url, username, password } = site();
const { browser, watch, page, steps, shot, ask } = await beginWalk("away", url);
const server = JSON.parse(env("CB_E2E_SERVER"));
let { pid } = server;
let child = null;

function runs() {
  if (child && child.exitCode !== null) return false;
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
async function stop() {
  process.kill(pid, "SIGTERM");
  await until(runs, (still) => !still, "the server to end", { most: 30_000 });
}
function start() {
  const log = openSync(server.log, "a");
  child = spawn(server.command[0], server.command.slice(1), {
    cwd: server.folder,
    env: server.environment,
    stdio: ["ignore", log, log],
  });
  pid = child.pid;
}
process.on("exit", () => child?.kill());

const notice = (on = page) => on.getByRole("status").filter({ hasText: "The server has not answered since" });
const state = (word) => page.getByRole("row", { name: /attic/ }).getByText(word, { exact: true }).first();
const question = () => page.getByRole("dialog", { name: "Discard your changes?" });
/** What a browser says of requests that nobody answers. */
const expected =
  /net::ERR_|WebSocket connection to|answer 50[234]|Failed to load resource|failed .*\/(health|stream|api)|dynamically imported|Code is missing/;
const quiet = () => {
  const heard = watch.take();
  const other = heard.filter((trouble) => !expected.test(trouble) || /\.svg/.test(trouble));
  expect(other.length === 0, `no other trouble than ${other.join("\n")}`);
};
const open = (name) => page.getByRole("link", { name, exact: true }).first().click();
/** Until no other page's code comes any more. Each part waits for an idle moment; on a busy machine for the time that is set below. */
const fetchedAhead = () =>
  until(
    () =>
      page.evaluate(
        () =>
          performance.getEntriesByType("resource").filter((one) => /\/assets\/.+\.js$/.test(one.name)).length,
      ),
    (now, before) => now === before,
    "the code of every page",
    { most: 60_000, every: 3_000 },
  );
await page.addInitScript(() => {
  performance.setResourceTimingBufferSize(10_000);
  const idle = window.requestIdleCallback;
  window.requestIdleCallback = (work) => idle(work, { timeout: 500 });
});

await steps.step("a page says that the server is away, since when, and takes the states back", async () => {
  await signIn(page, url, username, password);
  await ask("POST", "/assets", { name: "attic", kind: "device", role: "nas", status: "up" });
  await ask("POST", "/assets", { name: "cellar", kind: "device", role: "tv" });
  await open("Inventory");
  await state("Up").waitFor();
  await fetchedAhead();
  await shot("before");
  await stop();
  // Its stream has ended: nobody has to wait until a silence is long.
  await notice().waitFor();
  await said(notice(), /\d{1,2}:\d\d/);
  await state("Unknown").waitFor();
  await page.getByTitle("Not live: the server does not answer").waitFor();
  await judged(page);
  await shot("inventory");
  quiet();
});

await steps.step("the rows at hand are filtered here, and a panel shows what the list knows", async () => {
  const search = page.getByRole("searchbox").first();
  const rows = page.getByRole("row").filter({ has: page.locator("[data-row-open]") });
  await search.fill("role:nas attic");
  await rows.filter({ hasText: "cellar" }).waitFor({ state: "detached" });
  expect((await rows.count()) === 1, "only the row that fits");
  await search.fill("no such thing");
  await said(page, "Nothing matches");
  await search.fill("port:22");
  await said(page, "cannot be filtered by port at the moment");
  await judged(page);
  await shot("filter");
  await search.fill("");
  await rows.filter({ hasText: "attic" }).getByRole("button").first().click();
  await panel(page).getByRole("heading", { name: "attic" }).waitFor();
  await said(panel(page), "you see only what the list contains");
  await judged(page);
  await shot("panel");
  await page.keyboard.press("Escape");
  quiet();
});

await steps.step(
  "a page that was not visited before opens all the same, and so does the palette",
  async () => {
    for (const name of ["Vault", "Users", "Audit log", "Settings"]) {
      await open(name);
      await page.getByRole("heading", { name, exact: true, level: 1 }).waitFor();
      await notice().waitFor();
    }
    await page.keyboard.press("Control+k");
    await page
      .getByRole("dialog")
      .getByRole("option", { name: /Add asset/ })
      .waitFor();
    await page.keyboard.press("Escape");
    await open("Map");
    await page.locator("[data-map], canvas").first().waitFor();
    await shot("map");
    quiet();
  },
);

await steps.step("a change says that nothing was saved, and what was typed stays", async () => {
  await open("Inventory");
  await page.getByRole("button", { name: "Add asset" }).first().click();
  await field(panel(page), "Name").fill("typed while away");
  await button(panel(page), "Save").click();
  await said(panel(page), "Your changes were not saved, because the server cannot be reached.");
  expect((await field(panel(page), "Name").inputValue()) === "typed while away", "the text to stay");
  await judged(page);
  await shot("form");
  quiet();
});

await steps.step(
  "when it is back the line goes by itself, states are read again, and the change is saved",
  async () => {
    start();
    await notice().waitFor({ state: "detached", timeout: 30_000 });
    await state("Up").waitFor();
    await page.getByTitle("Live: changes appear immediately").waitFor();
    await button(panel(page), "Save").click();
    await page.getByRole("heading", { name: "typed while away" }).waitFor();
    await page.keyboard.press("Escape");
    await shot("back");
    quiet();
  },
);

await steps.step("a server that hangs is told too, and one that is slow is not", async () => {
  process.kill(pid, "SIGSTOP");
  await open("Users");
  await page.waitForTimeout(5_000);
  expect((await notice().count()) === 0, "no line after 5 s");
  process.kill(pid, "SIGCONT");
  await page.getByRole("cell", { name: username }).first().waitFor();
  await open("Inventory");
  await state("Up").waitFor();
  process.kill(pid, "SIGSTOP");
  // Nobody asks for anything.
  await notice().waitFor({ timeout: 50_000 });
  process.kill(pid, "SIGCONT");
  await notice().waitFor({ state: "detached", timeout: 40_000 });
  await state("Up").waitFor();
  quiet();
});

await steps.step(
  "code that is gone after an upgrade: loaded anew once, then a page of our own that offers it",
  async () => {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      viewport: { width: 390, height: 844 },
    });
    const phone = await context.newPage();
    // Nothing is fetched ahead for whoever saves data.
    await phone.addInitScript(() =>
      Object.defineProperty(navigator, "connection", { value: { saveData: true } }),
    );
    await signIn(phone, url, username, password);
    await phone.route("**/assets/networks-*.js", (route) => route.fulfill({ status: 404, body: "gone" }));
    let loads = 0;
    phone.on("load", () => (loads += 1));
    await phone.getByRole("link", { name: "Networks", exact: true }).click();
    await phone.getByRole("button", { name: "Reload the page" }).waitFor();
    expect(loads === 1, `one load, not ${loads}`);
    await phone.getByRole("navigation", { name: "Pages", exact: true }).waitFor();
    await judged(phone);
    await shot("upgraded-phone", phone);
    await phone.unroute("**/assets/networks-*.js");
    await phone.getByRole("button", { name: "Reload the page" }).click();
    await phone.getByRole("heading", { name: "Networks", level: 1 }).waitFor();
    await context.close();
    quiet();
  },
);

await steps.step("an address that nobody has keeps the frame", async () => {
  await page.goto(`${url}/nonsense`);
  await page.getByRole("heading", { name: "Page not found" }).waitFor();
  await page.getByRole("navigation", { name: "Pages", exact: true }).waitFor();
  await judged(page);
});

await steps.step("an address with a wrong part says what is wrong, and has a way out", async () => {
  watch.allow(404, /./);
  const nobody = "01a223ee-af71-7304-8f2f-a4e581a8b5d5";
  await page.goto(`${url}/discovery?from=zz`);
  await said(page, "This scan does not exist");
  await judged(page);
  await button(page, "Show all findings").click();
  await page.waitForURL(/discovery$/);
  for (const [where, what] of [
    ["/discovery?finding=", "This finding does not exist"],
    ["/inventory?selected=", "This asset does not exist"],
    ["/networks?selected=", "This network does not exist"],
    ["/vault?selected=", "This credential does not exist"],
    ["/notifications?selected=", "This webhook does not exist"],
    ["/notifications/channels?selected=", "This channel does not exist"],
    ["/notifications/incoming?selected=", "This hook does not exist"],
    ["/settings/providers?selected=", "This sign-in provider does not exist"],
    ["/users?selected=", "This user does not exist"],
  ])
    for (const id of [nobody, "zz"]) {
      await page.goto(url + where + id);
      await said(panel(page), what);
      await button(panel(page), "Close").last().click();
      await panel(page).waitFor({ state: "detached" });
    }
  await page.goto(`${url}/inventory?network=zz`);
  await said(page, "This network does not exist");
  await page.goto(`${url}/audit?entity=zz&entry=999999`);
  await said(page, "The link names something that does not exist.");
  await said(panel(page), "This entry is not in the list");
  quiet();
});

await steps.step(
  "nothing typed is lost: every way out asks, by keyboard, and gives the focus back",
  async () => {
    await page.goto(`${url}/inventory`);
    await page.getByRole("button", { name: "Add asset" }).first().click();
    const name = field(panel(page), "Name");
    await name.fill("half typed");
    const ways = {
      "the Escape key": () => page.keyboard.press("Escape"),
      "another row": () => page.getByRole("row", { name: /attic/ }).getByText("attic").click(),
      "another page": () => open("Networks"),
      "the way back": () => page.evaluate(() => history.back()),
      "the Cancel button": () => button(panel(page), "Cancel").click(),
    };
    for (const [way, go] of Object.entries(ways)) {
      await name.focus();
      await go();
      await question()
        .waitFor()
        .catch(() => expect(false, `a question after ${way}`));
      if (way === "the Escape key") {
        await judged(page);
        await shot("question");
      }
      await question().locator(":focus").waitFor();
      await page.keyboard.press("Enter");
      await question().waitFor({ state: "detached" });
      // It gives the focus back a moment later, also if the next question is there by then.
      await rested(page);
      expect((await name.inputValue()) === "half typed", `the text to stay after ${way}`);
    }
    await name.focus();
    await page.keyboard.press("Escape");
    await question().waitFor();
    await question().locator(":focus").waitFor();
    await page.keyboard.press("Escape");
    await question().waitFor({ state: "detached" });
    await page
      .waitForFunction((one) => document.activeElement === one, await name.elementHandle())
      .catch(() => expect(false, "the focus back in the field"));
    watch.answersDialogs = true;
    const asked = page.waitForEvent("dialog");
    await page.evaluate(() => void setTimeout(() => location.reload()));
    const dialog = await asked;
    expect(dialog.type() === "beforeunload", "the browser to ask before a reload");
    await dialog.dismiss();
    watch.answersDialogs = false;
    expect((await name.inputValue()) === "half typed", "the text to stay after a reload that was refused");
  },
);

await steps.step("a session that ends keeps what was typed: sign in beside it, then save", async () => {
  watch.allow(401, /./);
  await page.context().clearCookies();
  await button(panel(page), "Save").click();
  await page.getByRole("dialog", { name: "Your session has ended" }).waitFor();
  await shot("session");
  const coming = page.context().waitForEvent("page");
  await page.getByRole("link", { name: "Open a new tab to sign in" }).click();
  const tab = await coming;
  await signInHere(tab, username, password);
  await tab.waitForURL(/\/map/);
  await tab.close();
  await page.bringToFront();
  await page.evaluate(() => dispatchEvent(new Event("focus")));
  await said(page, "You are signed in again.");
  expect((await field(panel(page), "Name").inputValue()) === "half typed", "the text to stay");
  await button(panel(page), "Save").click();
  await page.getByRole("heading", { name: "half typed" }).waitFor();
  expect((await question().count()) === 0, "no question about what is saved");
  quiet();
});

await steps.step(
  "the palette: actions in the words of their buttons, what was chosen last first, gone at sign-out",
  async () => {
    await page.keyboard.press("Control+k");
    const options = page.getByRole("dialog").getByRole("option");
    await page.keyboard.type("add net");
    await options.first().filter({ hasText: "Add network" }).waitFor();
    await page.keyboard.press("Enter");
    await panel(page).getByRole("heading", { name: "Add network" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await options.first().filter({ hasText: "Add network" }).waitFor();
    await page.keyboard.type("role:nas attic");
    await options.first().filter({ hasText: "attic" }).waitFor();
    await shot("palette");
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("verify");
    await options.first().filter({ hasText: "Verify the log" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByText(/^The log is intact/).waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("password");
    await options.first().filter({ hasText: "Change password" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByLabel("Current password").waitFor();
    await page.keyboard.press("Control+k");
    await options.first().filter({ hasText: "Change password" }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await page.keyboard.type("sign out");
    await options.first().filter({ hasText: "Sign out" }).waitFor();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/login/);
    // The page is gone a moment before what it leaves behind.
    await page
      .waitForFunction(() => localStorage.getItem("cb.recent") === null)
      .catch(() => expect(false, "nothing of the palette to stay"));
    quiet();
  },
);

await browser.close();
process.exit(steps.end());
