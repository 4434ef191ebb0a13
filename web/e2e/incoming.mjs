// Hooks, in a real browser on a real server that is already set up: other systems report here, one that signs with the
// published library of Standard Webhooks, one that shows a token as Alertmanager does. What is not proved is refused, and the
// page says so. Any console error, content-policy report, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
import { request } from "node:https";
import { Webhook } from "standardwebhooks";
import { beginWalk, button, dialog, expect, field, judged, panel, said, signIn, site } from "./browser.mjs";

const { url, username, password } = site();

const { browser, page, steps, shot } = await beginWalk("incoming", url);
const inPanel = () => panel(page);
const list = () => page.getByRole("table", { name: "Incoming" });
const message = (name) => inPanel().getByRole("button", { name: new RegExp(name) });
const save = () => button(inPanel(), "Save").click();

/** From another machine, as far as the server can tell: no browser, no cookie. Answers the status. */
function post(address, body, headers) {
  return new Promise((done, failed) => {
    const sent = request(
      address,
      {
        method: "POST",
        rejectUnauthorized: false,
        headers: { "Content-Type": "application/json", ...headers },
      },
      (response) => {
        response.resume();
        response.on("end", () => done(response.statusCode));
      },
    );
    sent.on("error", failed);
    sent.end(body);
  });
}

function signed(secret, id, body) {
  const at = new Date();
  return {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": new Webhook(secret).sign(id, at, body),
  };
}

let address;
const secrets = [];
async function readSecret(name, shape) {
  const shown = dialog(page, `Secret of ${name}`);
  const secret = await field(shown, "Secret").inputValue();
  expect(shape.test(secret), `a secret such as ${shape}`);
  secrets.push(secret);
  await judged(page);
  await shot(`secret-${secrets.length}`);
  await button(shown, "Done").click();
  return secret;
}

await steps.step("a page without hooks says what they are for", async () => {
  await signIn(page, url, username, password);
  await page.goto(`${url}/notifications`);
  await page.getByRole("link", { name: "Incoming" }).click();
  await page.getByRole("heading", { name: "No hooks yet" }).waitFor();
  await judged(page);
  await shot("empty");
});

await steps.step("a hook is made, and says where and how to send", async () => {
  await button(page, "Add hook").click();
  await save();
  await said(inPanel(), "This field is required.");
  await field(inPanel(), "Name").fill("Backups");
  await judged(page);
  await shot("new");
  await save();
  await readSecret("Backups", /^whsec_[A-Za-z0-9+/]{32,}=*$/);
  await said(inPanel(), "No messages received yet.");
  address = await field(inPanel(), "Address").inputValue();
  expect(address.startsWith(`${url}/api/v1/hooks/`), `an address of this server, not ${address}`);
  await judged(page);
  await shot("made");
});

await steps.step("a signed message is taken, and seen as it comes in", async () => {
  const body = JSON.stringify({
    title: "Backup of the attic failed",
    text: "No space left.\nThe last good one is of Tuesday.",
    severity: "critical",
    url: "https://backup.lan/jobs/7",
  });
  const headers = signed(secrets[0], "msg_1", body);
  const status = await post(address, body, headers);
  expect(status >= 200 && status < 300, `it to be taken, not ${status}`);
  await said(message("Backup of the attic failed"), "Critical");
  await said(inPanel(), "Receiving");
  await message("Backup of the attic failed").click();
  await said(inPanel(), "The last good one is of Tuesday.");
  await inPanel().getByRole("link", { name: "https://backup.lan/jobs/7" }).waitFor();
  await judged(page);
  await shot("taken");
  await post(address, body, headers);
  await page.waitForTimeout(2_500);
  expect(
    (await message("Backup of the attic failed").count()) === 1,
    "one message, though it was sent twice",
  );
});

await steps.step("one that is not proved is refused, and the page says so", async () => {
  const body = JSON.stringify({ title: "Forged" });
  const other = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const status = await post(address, body, signed(other, "msg_2", body));
  expect(status === 401, `a refusal, not ${status}`);
  await said(inPanel(), "Refusing");
  await judged(page);
  await shot("refused");
  expect((await message("Forged").count()) === 0, "nothing of it among the messages");
});

await steps.step("a rotated secret and the one before are both taken", async () => {
  await button(inPanel(), "Rotate").click();
  const question = dialog(page, "Rotate the secret of Backups");
  await judged(page);
  await button(question, "Rotate").click();
  await readSecret("Backups", /^whsec_/);
  await said(inPanel(), "The old secret still works until");
  for (const [at, secret] of secrets.entries()) {
    const body = JSON.stringify({ title: `By secret ${at + 1}`, resolved: at === 1 });
    const status = await post(address, body, signed(secret, `msg_r${at}`, body));
    expect(status >= 200 && status < 300, `it to be taken, not ${status}`);
    await message(`By secret ${at + 1}`).waitFor();
  }
  await said(message("By secret 2"), "Resolved");
});

await steps.step("a system that cannot sign shows a token", async () => {
  await button(page, "Add hook").click();
  await field(inPanel(), "Name").fill("Prometheus");
  await field(inPanel(), "Format").selectOption("alertmanager");
  await said(inPanel(), "They cannot sign messages, so they send a token.");
  await save();
  const token = await readSecret("Prometheus", /^cb_hook_/);
  const to = await field(inPanel(), "Address").inputValue();
  const recipe = await inPanel().locator("pre").textContent();
  expect(recipe.includes(to), "the address in what is to be written there");
  const alert = {
    status: "firing",
    labels: { alertname: "DiskFull", severity: "warning", instance: "nas:9100" },
    annotations: { summary: "The disk of nas is full" },
    startsAt: new Date().toISOString(),
    endsAt: "0001-01-01T00:00:00Z",
    generatorURL: "https://prometheus.lan/graph",
    fingerprint: "abc",
  };
  const body = JSON.stringify({
    version: "4",
    groupKey: "{}:{}",
    truncatedAlerts: 0,
    status: "firing",
    receiver: "circuit-breaker",
    groupLabels: {},
    commonLabels: alert.labels,
    commonAnnotations: alert.annotations,
    externalURL: "https://alertmanager.lan",
    alerts: [alert],
  });
  expect((await post(to, body, { Authorization: "Bearer cb_hook_wrong" })) === 401, "a wrong token refused");
  const status = await post(to, body, { Authorization: `Bearer ${token}` });
  expect(status >= 200 && status < 300, `it to be taken, not ${status}`);
  await inPanel()
    .getByRole("button", { name: /DiskFull|disk of nas/ })
    .waitFor();
  await judged(page);
  await shot("token");
});

await steps.step("while it is off nothing is taken", async () => {
  await page.goto(`${url}/notifications/incoming`);
  await list().getByText("Backups").click();
  await button(inPanel(), "Turn off").click();
  await inPanel()
    .getByText(/^○? ?Off$/)
    .waitFor();
  const body = JSON.stringify({ title: "Too early" });
  const status = await post(address, body, signed(secrets[1], "msg_off", body));
  expect(status >= 400 && status < 500, `a refusal, not ${status}`);
  await button(inPanel(), "Turn on").click();
  await button(inPanel(), "Turn off").waitFor();
  expect((await message("Too early").count()) === 0, "nothing of it among the messages");
});

await steps.step("the list shows how each fares, in light and on a phone", async () => {
  await page.keyboard.press("Escape");
  await inPanel().waitFor({ state: "detached" });
  await page.emulateMedia({ colorScheme: "light" });
  await judged(page);
  await shot("list");
  await page.setViewportSize({ width: 390, height: 844 });
  await judged(page);
  await list().getByText("Prometheus").click();
  await said(inPanel(), "Messages");
  await judged(page);
  await shot("phone");
  await page.setViewportSize({ width: 1360, height: 860 });
  await judged(page);
  await shot("light");
});

await steps.step("hooks are removed for good", async () => {
  for (const name of ["Prometheus", "Backups"]) {
    await page.goto(`${url}/notifications/incoming`);
    await list().getByText(name).click();
    await button(inPanel(), "Delete").click();
    const question = dialog(page, `Delete ${name}`);
    await question.getByRole("textbox").fill(name);
    await button(question, "Delete").click();
    await said(page, `Deleted ${name}`);
  }
  await page.getByRole("heading", { name: "No hooks yet" }).waitFor();
  const content = await page.content();
  expect(
    secrets.every((secret) => !content.includes(secret)),
    "no secret in the page",
  );
});

const status = steps.end();
await browser.close();
process.exit(status);
