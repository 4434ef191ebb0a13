// Channels, in a real browser on a real server that is already set up: made from the forms of their kinds, tried at a server
// on loopback that speaks as ntfy does, told of what happens, and moved only by whoever knows the secret. Any console error,
// content-policy report, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
import { createServer } from "node:http";
import { beginWalk, button, dialog, expect, field, judged, panel, said, signIn, site } from "./browser.mjs";

const { url, username, password } = site();
const TOKEN = "tk_blue-kettle-whistles";

/** As ntfy answers: a message back for a token that it knows, 403 for another. */
async function ntfy() {
  const messages = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const known = request.headers.authorization === `Bearer ${TOKEN}`;
    const said = { id: "x", event: "message" };
    const refused = { code: 40301, http: 403, error: "forbidden" };
    if (known) messages.push(JSON.parse(Buffer.concat(chunks).toString("utf8")));
    response
      .writeHead(known ? 200 : 403, { "Content-Type": "application/json" })
      .end(JSON.stringify(known ? said : refused));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { server, messages, url: `http://127.0.0.1:${server.address().port}` };
}
const phone = await ntfy();

const { browser, watch, page, steps, shot } = await beginWalk("channel", url);
const inPanel = () => panel(page);
const list = () => page.getByRole("table", { name: "Channels" });
const delivery = (name) => inPanel().getByRole("button", { name: new RegExp(name) });
const save = () => button(inPanel(), "Save").click();

await steps.step("a page without channels says what they are for", async () => {
  await signIn(page, url, username, password);
  await page.getByRole("link", { name: "Notifications" }).click();
  await page.getByRole("link", { name: "Channels" }).click();
  await page.getByRole("heading", { name: "No channels yet" }).waitFor();
  await judged(page);
  await shot("empty");
});

await steps.step("every service has its form", async () => {
  await button(page, "Add channel").click();
  const service = field(inPanel(), "Service");
  await field(inPanel(), "Mail server").waitFor();
  await shot("email");
  const kinds = await service.locator("option").evaluateAll((options) => options.map((one) => one.value));
  expect(kinds.length === 10, `ten services, not ${kinds.length}`);
  for (const kind of kinds) {
    await service.selectOption(kind);
    await field(inPanel(), "Name").waitFor();
    await judged(page);
  }
});

await steps.step("a channel is made, and the form names what is missing", async () => {
  await field(inPanel(), "Service").selectOption("ntfy");
  await save();
  await said(inPanel(), "This field is required.");
  await field(inPanel(), "Name").fill("Phone");
  await field(inPanel(), "Server").fill(phone.url);
  await field(inPanel(), "Topic").fill("attic alarms");
  watch.allow(422, /\/channels(\/|$)/);
  await save();
  await inPanel().locator("[aria-invalid=true]").waitFor();
  expect(
    (await field(inPanel(), "Topic").getAttribute("aria-invalid")) === "true",
    "the reason beside the topic",
  );
  await judged(page);
  await shot("refused");
  await field(inPanel(), "Topic").fill("attic");
  await field(inPanel(), "Access token").fill("tk_wrong");
  await save();
  await said(page, "Saved Phone");
  await said(inPanel(), "Stored. It is never shown again.");
  await said(inPanel(), "No events yet");
});

await steps.step("a wrong token is told in plain words, and the right one arrives", async () => {
  await button(inPanel(), "Send a test").click();
  await said(inPanel(), "Status 403");
  await judged(page);
  await shot("wrong");
  await button(inPanel(), "Replace").click();
  await field(inPanel(), "Access token").fill(TOKEN);
  await save();
  await button(inPanel(), "Replace").waitFor();
  await button(inPanel(), "Send a test").click();
  await said(inPanel(), "The test arrived.");
  const [message] = phone.messages;
  expect(
    message?.topic === "attic" && message.title,
    `a message for the topic, not ${JSON.stringify(message)}`,
  );
  await judged(page);
  await shot("works");
});

await steps.step("it is told what happens, from its severity on", async () => {
  await page.goto(`${url}/inventory?panel=new`);
  await field(inPanel(), "Name").fill("Table saw");
  await save();
  await inPanel().getByRole("heading", { name: "Table saw" }).waitFor();
  await page.goto(`${url}/notifications/channels`);
  await list().getByText("Phone").click();
  await said(delivery("Table saw"), "Delivered");
  expect(
    phone.messages.some((message) => JSON.stringify(message).includes("Table saw")),
    "the message to have come",
  );
  await said(inPanel(), "Delivering");
  await field(inPanel(), "Minimum severity").selectOption("critical");
  await save();
  await said(page, "Saved Phone");
  await page.goto(`${url}/inventory?panel=new`);
  await field(inPanel(), "Name").fill("Jigsaw");
  await save();
  await inPanel().getByRole("heading", { name: "Jigsaw" }).waitFor();
  await page.goto(`${url}/notifications/channels`);
  await list().getByText("Phone").click();
  await delivery("Table saw").click();
  await judged(page);
  await shot("told");
  expect((await delivery("Jigsaw").count()) === 0, "nothing of what is less severe");
});

await steps.step("its secret goes nowhere else unless it is given again", async () => {
  await field(inPanel(), "Server").fill("https://ntfy.example.org");
  await save();
  await said(inPanel(), "Enter the secret again");
  await field(inPanel(), "Access token").waitFor();
  expect(
    await field(inPanel(), "Access token").evaluate((input) => input === document.activeElement),
    "the secret to be asked for at once",
  );
  await judged(page);
  await shot("again");
  await page.reload();
  await button(inPanel(), "Replace").waitFor();
  expect((await field(inPanel(), "Server").inputValue()) === phone.url, "the server to be as before");
});

await steps.step("the list shows how each fares, in light and on a phone", async () => {
  await page.keyboard.press("Escape");
  await inPanel().waitFor({ state: "detached" });
  await page.emulateMedia({ colorScheme: "light" });
  await judged(page);
  await shot("list");
  await page.setViewportSize({ width: 390, height: 844 });
  await judged(page);
  await shot("list-phone");
  await list().getByText("Phone").click();
  await said(inPanel(), "Deliveries");
  await judged(page);
  await shot("phone");
  await page.setViewportSize({ width: 1360, height: 860 });
});

await steps.step("its view hides a column, and is opened from the palette", async () => {
  await page.keyboard.press("Escape");
  await inPanel().waitFor({ state: "detached" });
  const created = page.getByRole("columnheader", { name: "Created" });
  await created.waitFor();
  await button(page, "Columns and density").click();
  await page.getByRole("menuitemcheckbox", { name: "Created" }).click();
  await page.keyboard.press("Escape");
  await created.waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^Views/ }).click();
  await page.getByRole("menuitem", { name: "Save as a new view" }).press("Enter");
  await field(page, "Name").fill("Walked channels");
  await page.keyboard.press("Enter");
  await said(page, "The view “Walked channels” was saved.");
  await button(page, "Columns and density").click();
  await page.getByRole("menuitemcheckbox", { name: "Created" }).click();
  await page.keyboard.press("Escape");
  await created.waitFor();
  await shot("view");
  await page.goto(`${url}/networks`);
  await page.getByRole("heading", { name: "Networks" }).waitFor();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("walked chan");
  await page.getByRole("option", { name: /Walked channels.*View of Channels/ }).click();
  await page.waitForURL((at) => at.pathname === "/notifications/channels" && at.searchParams.has("view"));
  await list().waitFor();
  await created.waitFor({ state: "detached" });
  await button(page, "Views. “Walked channels” is open.").click();
  await page.getByRole("menuitem", { name: "Delete “Walked channels”" }).click();
  await list().getByText("Phone").click();
});

await steps.step("a channel is removed for good", async () => {
  await button(inPanel(), "Delete").click();
  const question = dialog(page, "Delete Phone");
  await question.getByRole("textbox").fill("Phone");
  await judged(page);
  await button(question, "Delete").click();
  await said(page, "Deleted Phone");
  await page.getByRole("heading", { name: "No channels yet" }).waitFor();
  expect(!(await page.content()).includes(TOKEN), "no secret in the page");
});

const status = steps.end();
await browser.close();
phone.server.close();
process.exit(status);
