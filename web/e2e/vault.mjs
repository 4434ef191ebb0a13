// The vault, in a real browser on a real server that is already set up: credentials are made from the forms of their kinds and
// tried at a real snmpd and at a real HTTPS server with a certificate that nobody signed. Any console error, content-policy
// report, failed request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
//   CB_E2E_SNMP                                the port of an snmpd on 127.0.0.1 whose community is `hush-lab`
import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
} from "./browser.mjs";

const { url, username, password } = site();
const snmpPort = env("CB_E2E_SNMP");

/** A device's web server. `/private` wants `root` and `calvin`; it counts the secrets that it was shown. */
async function device() {
  const folder = mkdtempSync(join(tmpdir(), "cb-e2e-device-"));
  const at = (name) => join(folder, name);
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc.lab"];
  execFileSync("openssl", [...made, "-keyout", at("key"), "-out", at("cert")], { stdio: "ignore" });
  const [key, cert] = [readFileSync(at("key")), readFileSync(at("cert"))];
  rmSync(folder, { recursive: true });
  const seen = { secrets: 0 };
  const right = `Basic ${Buffer.from("root:calvin").toString("base64")}`;
  const server = createServer({ key, cert }, (request, response) => {
    if (request.headers.authorization) seen.secrets += 1;
    response.writeHead(request.headers.authorization === right ? 200 : 401, { Server: "bmc/1" }).end("{}");
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const pin = createHash("sha256").update(new X509Certificate(cert).raw).digest("hex").toUpperCase();
  const fingerprint = pin.match(/../g).join(":");
  return { server, seen, fingerprint, port: String(server.address().port) };
}
const bmc = await device();

const { browser, watch, page, steps, shot } = await beginWalk("vault", url);
const inPanel = () => panel(page);
const testArea = () => inPanel().locator("form").first();
async function save() {
  await button(inPanel(), "Save").click();
}

await steps.step("an empty vault says what it is for", async () => {
  await signIn(page, url, username, password);
  await page.getByRole("link", { name: "Vault" }).click();
  await page.getByRole("heading", { name: "No credentials yet" }).waitFor();
  await judged(page);
  await shot("empty");
});

await steps.step("an SNMP community is kept, and the form names what is missing", async () => {
  await button(page, "Add credential").click();
  await field(inPanel(), "Kind").selectOption("snmp_v3");
  await field(inPanel(), "Authentication").selectOption("sha256");
  await field(inPanel(), "Authentication password").waitFor();
  await field(inPanel(), "Authentication").selectOption("none");
  await field(inPanel(), "Authentication password").waitFor({ state: "detached" });
  await field(inPanel(), "Kind").selectOption("snmp_v2c");
  await save();
  await said(inPanel(), "This field is required.");
  await field(inPanel(), "Name").fill("Switches");
  await field(inPanel(), "Community").fill("public");
  await field(inPanel(), "Hosts").fill("127.0.0.1\n10.0.10.0/24");
  await judged(page);
  await shot("new");
  await save();
  await said(page, "Saved Switches");
  await said(inPanel(), "This credential has not been used yet.");
});

await steps.step("a wrong community is told in plain words, and the right one shows the device", async () => {
  expect((await field(testArea(), "Host").inputValue()) === "127.0.0.1", "the host to be there already");
  expect((await field(testArea(), "Port").inputValue()) === "161", "the usual port");
  watch.allow(422, /\/credentials\//);
  await field(testArea(), "Port").fill(snmpPort);
  await button(testArea(), "Test").click();
  await said(testArea(), `an administrator can add 127.0.0.1:${snmpPort} to the hosts`);
  await field(inPanel(), "Hosts").fill(`127.0.0.1:${snmpPort}\n10.0.10.0/24`);
  await button(inPanel(), "Replace").click();
  await field(inPanel(), "Community").fill("public");
  await save();
  await button(inPanel(), "Replace").waitFor();
  await button(testArea(), "Test").click();
  await said(
    testArea(),
    `No answer from 127.0.0.1 on port ${snmpPort}. SNMP may be off, or the community may be wrong.`,
  );
  await judged(page);
  await shot("wrong");
  await button(inPanel(), "Replace").click();
  await field(inPanel(), "Community").fill("hush-lab");
  await save();
  await button(inPanel(), "Replace").waitFor();
  await button(testArea(), "Test").click();
  await said(testArea(), "The credential works.");
  await said(testArea(), "attic-switch");
  await said(inPanel(), "Worked");
  await said(inPanel(), "Failed");
  await shot("works");
});

await steps.step("more hosts want the secret again, fewer do not, and others get nothing", async () => {
  watch.allow(422, /\/credentials\//);
  await field(inPanel(), "Hosts").fill(`127.0.0.1:${snmpPort}\n10.0.0.0/8`);
  await save();
  await said(
    inPanel(),
    "Enter the secret again, because it could be sent to more hosts or ports than before.",
  );
  await judged(page);
  await field(inPanel(), "Community").fill("");
  await page.reload();
  expect((await field(testArea(), "Port").inputValue()) === snmpPort, "the port that was typed for the host");
  await field(inPanel(), "Hosts").fill(`127.0.0.1:${snmpPort}`);
  await save();
  await said(page, "Saved Switches");
  await field(testArea(), "Host").fill("10.0.10.5");
  await button(testArea(), "Test").click();
  await said(testArea(), "The server sends this secret only to 127.0.0.1");
  await button(inPanel(), "Close").click();
});

await steps.step(
  "a certificate that nobody signed: shown, refused, compared, trusted; only then the secret goes",
  async () => {
    await button(page, "Add credential").click();
    await field(inPanel(), "Kind").selectOption("basic");
    await field(inPanel(), "Name").fill("BMC");
    await field(inPanel(), "Username").fill("root");
    await field(inPanel(), "Password").fill("calvin");
    await field(inPanel(), "Hosts").fill(`127.0.0.1:${bmc.port}`);
    await field(inPanel(), "Certificate (SHA-256)").fill("ab".repeat(32));
    await save();
    await said(page, "Saved BMC");
    await field(testArea(), "Port").fill(bmc.port);
    await field(testArea(), "Path").fill("/private");
    await button(testArea(), "Test").click();
    await said(testArea(), "Nothing was sent: 127.0.0.1 shows another certificate than the trusted one.");
    await said(testArea(), bmc.fingerprint);
    await judged(page);
    await shot("certificate");
    await button(testArea(), "Trust this certificate").click();
    await said(inPanel(), "To confirm, enter the secret again and save.");
    expect(
      (await field(inPanel(), "Certificate (SHA-256)").inputValue()) === bmc.fingerprint,
      "the shown fingerprint in the form",
    );
    expect(bmc.seen.secrets === 0, `no secret to have left, not ${bmc.seen.secrets}`);
    await page.keyboard.type("calvin");
    await page.keyboard.press("Enter");
    await button(inPanel(), "Replace").waitFor();
    await button(testArea(), "Test").click();
    await said(testArea(), "The credential works.");
    expect(bmc.seen.secrets === 1, `the secret to have left once, not ${bmc.seen.secrets} times`);
    await said(inPanel(), `127.0.0.1 : ${bmc.port}`);
    await shot("trusted");
  },
);

await steps.step("the list shows what there is, by keyboard, in light and on a phone", async () => {
  await page.keyboard.press("Escape");
  await panel(page).waitFor({ state: "detached" });
  const list = page.getByRole("table", { name: "Vault" });
  await list.getByText("Switches").waitFor();
  await list.getByText("BMC").waitFor();
  await page.emulateMedia({ colorScheme: "light" });
  await judged(page);
  await shot("list");
  await page.setViewportSize({ width: 390, height: 844 });
  await judged(page);
  await list.getByText("BMC").click();
  await said(inPanel(), "Uses");
  await judged(page);
  await shot("phone");
  await page.setViewportSize({ width: 1360, height: 860 });
});

await steps.step("a credential is removed for good", async () => {
  await button(inPanel(), "Delete").click();
  const question = dialog(page, "Delete BMC");
  await question.getByRole("textbox").fill("BMC");
  await judged(page);
  await button(question, "Delete").click();
  await said(page, "Deleted BMC");
  await page.getByRole("table", { name: "Vault" }).getByText("BMC").waitFor({ state: "detached" });
  const page2 = await page.content();
  expect(!page2.includes("hush-lab") && !page2.includes("calvin"), "no secret in the page");
});

await steps.step("the key is rotated: the history shows both, and the secrets still work", async () => {
  await page.getByRole("link", { name: "Keys" }).click();
  const area = (name) => page.getByRole("region", { name, exact: true });
  await said(area("Current key"), "Next rotation");
  await said(area("Schedule"), "Next check");
  const keys = () => area("History").getByRole("listitem");
  expect((await keys().count()) === 1, "one key before");
  await judged(page);
  await shot("keys");
  await button(area("Current key"), "Rotate now").click();
  await said(page, "All secrets are now encrypted with a new key");
  await keys().nth(1).waitFor();
  await said(keys().nth(0), "In use");
  await said(keys().nth(1), "Kept until");
  await said(keys().nth(1), "0 secrets");
  await judged(page);
  await shot("rotated");
  await page.setViewportSize({ width: 390, height: 844 });
  await judged(page);
  await shot("keys-phone");
  await page.setViewportSize({ width: 1360, height: 860 });
  await page.getByRole("link", { name: "Credentials" }).click();
  await page.getByRole("table", { name: "Vault" }).getByText("Switches").click();
  await field(testArea(), "Port").fill(snmpPort);
  await button(testArea(), "Test").click();
  await said(testArea(), "The credential works.");
});

await steps.step("how often it rotates is a setting, with its bounds said beside it", async () => {
  await page.goto(`${url}/vault/keys`);
  const schedule = page.getByRole("region", { name: "Schedule", exact: true });
  await field(schedule, "Days between rotations").fill("0");
  await button(schedule, "Save").click();
  await said(schedule, "Enter a number from 1 to 3,650.");
  await judged(page);
  await field(schedule, "Days between rotations").fill("30");
  await button(schedule, "Save").click();
  await said(page, "Saved");
  await schedule.getByLabel("Rotate automatically").click();
  await button(schedule, "Save").click();
  await said(page.getByRole("region", { name: "Current key", exact: true }), "Not scheduled");
  await shot("schedule");
});

const status = steps.end();
await browser.close();
bmc.server.close();
process.exit(status);
