// Webhooks, in a real browser on a real server that is already set up, with a receiver on loopback that verifies each request
// with the published library of Standard Webhooks: made, tried, rotated, through two outages, switched off, moved elsewhere,
// seen by a reader, removed. Any console error, content-policy report, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
import {
  beginWalk,
  button,
  dialog,
  expect,
  field,
  judged,
  panel,
  said,
  signIn,
  site,
  staleProof,
  watchedPage,
} from "./browser.mjs";
import { receiver } from "./standard-webhooks.mjs";

const { url, username, password } = site();
const reader = "hook-reader";
const readerPassword = "nine slow barges turn";

let inbox = await receiver();
const elsewhere = await receiver();
const secrets = [];

const { browser, desk, watch, page, steps, shot } = await beginWalk("webhook", url, {
  permissions: ["clipboard-read", "clipboard-write"],
});
const inPanel = () => panel(page);
const list = () => page.getByRole("table", { name: "Webhooks" });
const delivery = (name) => inPanel().getByRole("button", { name: new RegExp(name) });
const save = () => button(inPanel(), "Save").click();

/** What came last; the request of a test has come before its answer is shown. */
const last = () => inbox.requests.at(-1);
const signatures = (request) => request.headers["webhook-signature"].split(" ");
const about = (text) => inbox.requests.filter(({ body }) => body.includes(text));

async function until(what, condition) {
  const end = Date.now() + 20_000;
  while (!condition()) {
    expect(Date.now() < end, what);
    await new Promise((wait) => setTimeout(wait, 50));
  }
}

/** The secret that is shown this once. */
async function readSecret(name) {
  const shown = dialog(page, `Secret of ${name}`);
  const secret = await field(shown, "Secret").inputValue();
  expect(/^whsec_[A-Za-z0-9+/]{32,}=*$/.test(secret), "a secret of Standard Webhooks");
  expect(!secrets.includes(secret), "a secret that was not there before");
  secrets.push(secret);
  return { shown, secret };
}

async function addAsset(name) {
  await page.goto(`${url}/inventory?panel=new`);
  await field(inPanel(), "Name").fill(name);
  await save();
  await inPanel().getByRole("heading", { name }).waitFor();
  await page.getByRole("link", { name: "Notifications" }).click();
  await list().getByText("Workshop").click();
}

await steps.step("a page without webhooks says what they are for", async () => {
  await signIn(page, url, username, password);
  await page.getByRole("link", { name: "Notifications" }).click();
  await page.getByRole("heading", { name: "No webhooks yet" }).waitFor();
  await judged(page);
  await shot("empty");
});

await steps.step("the form names what is missing, and the server what it refuses", async () => {
  await button(page, "Add webhook").click();
  await save();
  await said(inPanel(), "This field is required.");
  await inPanel().getByLabel("All events, including future ones").uncheck();
  await field(inPanel(), "Name").fill("Workshop");
  await field(inPanel(), "URL").fill("ftp://127.0.0.1/hook");
  await save();
  await said(inPanel(), "Choose at least one event, or all events.");
  await judged(page);
  await shot("new");
  await inPanel().getByLabel("All events, including future ones").check();
  watch.allow(422, /\/webhooks$/);
  await save();
  await inPanel().locator("[aria-invalid=true]").waitFor();
  expect(
    (await field(inPanel(), "URL").getAttribute("aria-invalid")) === "true",
    "the reason beside the address",
  );
  await judged(page);
  await shot("refused");
});

await steps.step("it is made after a fresh proof, and its secret is shown this once", async () => {
  await field(inPanel(), "URL").fill(inbox.url);
  watch.allow(403, /\/webhooks$/);
  await staleProof(page, "webhooks");
  await save();
  const proof = dialog(page, "Confirm your identity");
  await field(proof, `Password of ${username}`).fill(password);
  await page.keyboard.press("Enter");
  await proof.waitFor({ state: "detached" });
  const { shown, secret } = await readSecret("Workshop");
  await button(shown, "Copy").click();
  await said(shown, "Copied");
  expect((await page.evaluate(() => navigator.clipboard.readText())) === secret, "the copied secret");
  await judged(page);
  await shot("secret");
  await button(shown, "Done").click();
  await inPanel().getByText("No events yet").waitFor();
  await page.reload();
  await inPanel().getByText("No events yet").waitFor();
  expect(!(await page.content()).includes(secret), "no secret in the page");
  inbox.secrets.push(secret);
});

await steps.step("a test arrives, and the library of Standard Webhooks verifies it", async () => {
  await button(inPanel(), "Send a test").click();
  await said(inPanel(), "The test arrived.");
  await said(inPanel(), "Status 204");
  expect(inbox.requests.length === 1, `one request, not ${inbox.requests.length}`);
  expect(last().verified, `a request that verifies, not: ${last().error}`);
  const body = JSON.parse(last().body);
  expect(body.type === "test" && body.data.title, `a notice of a test, not ${last().body}`);
  await judged(page);
  await shot("test");
});

await steps.step("a rotated secret is shown once, and both sign for a day", async () => {
  const [old] = secrets;
  await button(inPanel(), "Rotate").click();
  const question = dialog(page, "Rotate the secret of Workshop");
  await said(question, "For 24 hours");
  await judged(page);
  await button(question, "Rotate").click();
  const { shown, secret } = await readSecret("Workshop");
  await button(shown, "Done").click();
  await said(inPanel(), "The old secret also signs requests until");
  for (const only of [old, secret]) {
    inbox.secrets.splice(0, 2, only);
    const before = inbox.requests.length;
    await button(inPanel(), "Send a test").click();
    await until("a request", () => inbox.requests.length > before);
    await said(inPanel(), "The test arrived.");
    expect(
      last().verified,
      `it to verify with ${only === old ? "the old" : "the new"} secret: ${last().error}`,
    );
    expect(signatures(last()).length === 2, `two signatures, not ${signatures(last()).length}`);
  }
  await judged(page);
});

await steps.step("an outage shows as it happens, and what was missed is sent again", async () => {
  inbox.fail(true);
  await addAsset("Band saw");
  await said(delivery("Band saw"), "Retrying");
  await delivery("Band saw").focus();
  await page.keyboard.press("Enter");
  await said(inPanel(), "Status 503");
  await said(inPanel(), "out of order");
  await said(inPanel(), "Next attempt:");
  await said(inPanel(), "Failing since");
  await judged(page);
  await shot("outage");
  // The next try by itself after this one is minutes away, so what arrives now was sent by hand.
  await until("the second try", () => about("Band saw").length >= 2);
  inbox.fail(false);
  await button(inPanel(), "Send again").click();
  await said(delivery("Band saw"), "Delivered");
  await inPanel().getByText("Messages arrive.").waitFor();
  const sent = about("Band saw");
  expect(sent.length === 3, `three tries, not ${sent.length}`);
  expect(
    sent.every((one) => one.verified),
    "every try to verify",
  );
  expect(new Set(sent.map((one) => one.headers["webhook-id"])).size === 1, "the same id in every try");
  expect(new Set(sent.map((one) => one.body)).size === 1, "the same body in every try");
  const shown = await inPanel().locator("pre").textContent();
  expect(
    JSON.stringify(JSON.parse(shown)) === JSON.stringify(JSON.parse(sent[0].body)),
    "the page to show what was sent",
  );
  await judged(page);
  await shot("delivered");
});

await steps.step("a receiver that is gone is tried again by itself until it is back", async () => {
  const { port, secrets: known } = inbox;
  await inbox.close();
  // The second try comes after four seconds, and the third after five minutes.
  const made = await page.evaluate(async () => {
    const { csrf_token } = await (await fetch("/api/v1/auth/me")).json();
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf_token };
    const body = JSON.stringify({ name: "Drill press", kind: "device" });
    return (await fetch("/api/v1/assets", { method: "POST", headers, body })).status;
  });
  expect(made === 201, `201, not ${made}`);
  await said(delivery("Drill press"), "Retrying");
  inbox = await receiver({ port });
  inbox.secrets.push(...known);
  await said(delivery("Drill press"), "Delivered");
  const sent = about("Drill press");
  expect(sent.length === 1 && sent[0].verified, `one request that verifies, not ${sent.length}`);
  await inPanel().getByLabel("Show deliveries").selectOption("Delivered");
  await delivery("Band saw").waitFor();
  await inPanel().getByLabel("Show deliveries").selectOption("Failed");
  await said(inPanel(), "No deliveries match.");
  await inPanel().getByLabel("Show deliveries").selectOption("All");
});

await steps.step("it hears only of what was chosen, and nothing while it is switched off", async () => {
  await inPanel().getByLabel("All events, including future ones").uncheck();
  await inPanel().locator("fieldset li input").first().check();
  await save();
  await said(page, "Saved Workshop");
  const before = inbox.requests.length;
  await addAsset("Lathe");
  await button(inPanel(), "Turn off").click();
  await inPanel()
    .getByText(/^○? ?Off$/)
    .waitFor();
  await judged(page);
  await shot("off");
  expect((await delivery("Lathe").count()) === 0, "no delivery of what was not chosen");
  expect(inbox.requests.length === before, "nothing to have been sent");
  await button(inPanel(), "Turn on").click();
  await inPanel().getByText("Delivering").waitFor();
});

await steps.step("another receiver gets another secret, and the one before nothing more", async () => {
  const before = inbox.requests.length;
  await field(inPanel(), "URL").fill(elsewhere.url);
  await said(inPanel(), "It gets a new secret");
  await judged(page);
  await save();
  const { shown, secret } = await readSecret("Workshop");
  await button(shown, "Done").click();
  elsewhere.secrets.push(secret);
  await button(inPanel(), "Send a test").click();
  await said(inPanel(), "The test arrived.");
  const [test] = elsewhere.requests;
  expect(test.verified, `a request that verifies, not: ${test.error}`);
  expect(signatures(test).length === 1, "no signature by the secret of the one before");
  expect(inbox.requests.length === before, "nothing more to the one before");
});

await steps.step("the list shows how each fares, by keyboard, in light and on a phone", async () => {
  await page.keyboard.press("Escape");
  await inPanel().waitFor({ state: "detached" });
  await page.emulateMedia({ colorScheme: "light" });
  await judged(page);
  await shot("list");
  await page.setViewportSize({ width: 390, height: 844 });
  await judged(page);
  await shot("list-phone");
  await list().locator("[data-row-open]").first().focus();
  await page.keyboard.press("Enter");
  await delivery("Drill press").click();
  await said(inPanel(), "Request body");
  await judged(page);
  await shot("phone");
  await page.setViewportSize({ width: 1360, height: 860 });
  await judged(page);
  await shot("light");
  await page.emulateMedia({ colorScheme: "dark" });
});

await steps.step("an editor reads it all but the path, and writes nothing", async () => {
  await page.goto(`${url}/users?panel=new`);
  await field(inPanel(), "Username").fill(reader);
  await field(inPanel(), "Password").fill(readerPassword);
  await field(inPanel(), "Role").selectOption("editor");
  await button(inPanel(), "Create user").click();
  await said(page, reader);
  const other = await watchedPage(await browser.newContext(desk), url);
  other.allow(401, /\/auth\/(me|login)$/);
  const theirs = other.page;
  await signIn(theirs, url, reader, readerPassword);
  await theirs.getByRole("link", { name: "Notifications" }).click();
  await theirs.getByRole("table", { name: "Webhooks" }).getByText("Workshop").click();
  const shown = theirs.locator("aside");
  await shown.getByRole("button", { name: /Drill press/ }).click();
  await said(shown, "Request body");
  for (const name of ["Add webhook", "Send a test", "Turn off", "Rotate", "Save", "Delete", "Send again"])
    expect((await button(theirs, name).count()) === 0, `no button “${name}”`);
  const origin = await field(shown, "URL").inputValue();
  expect(origin.replace(/\/$/, "") === new URL(elsewhere.url).origin, `the origin only, not ${origin}`);
  expect(await field(shown, "URL").isDisabled(), "nothing to write into");
  await judged(theirs);
  await shot("reader", theirs);
  for (const [tab, none, add] of [
    ["Channels", "No channels yet", "Add channel"],
    ["Incoming", "No hooks yet", "Add hook"],
  ]) {
    await theirs.getByRole("link", { name: tab }).click();
    await theirs.getByRole("heading", { name: none }).waitFor();
    expect((await button(theirs, add).count()) === 0, `no button “${add}”`);
    await judged(theirs);
  }
  const troubles = other.take();
  expect(troubles.length === 0, `no trouble: ${troubles.join("; ")}`);
  await theirs.context().close();
});

await steps.step("a webhook is removed for good", async () => {
  await page.goto(`${url}/notifications`);
  await list().getByText("Workshop").click();
  await button(inPanel(), "Delete").click();
  const question = dialog(page, "Delete Workshop");
  await question.getByRole("textbox").fill("Workshop");
  await judged(page);
  await button(question, "Delete").click();
  await said(page, "Deleted Workshop");
  await page.getByRole("heading", { name: "No webhooks yet" }).waitFor();
  const content = await page.content();
  expect(
    secrets.length === 3 && secrets.every((secret) => !content.includes(secret)),
    "no secret in the page",
  );
});

const status = steps.end();
await browser.close();
await Promise.all([inbox.close(), elsewhere.close()]);
process.exit(status);
