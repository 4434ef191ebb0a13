// Who may do what, in a real browser on a real server that is already set up: an administrator invites somebody, who
// joins, changes their password, turns on two-factor sign-in, makes a token; the administrator takes things away again.
// Several windows, because what ends in one must end in the other. Any console error, content-policy report, failed
// request or axe violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
import { readFileSync } from "node:fs";
import { request } from "playwright-core";
import {
  button,
  dialog,
  env,
  expect,
  field,
  judged,
  launch,
  panel,
  SHOTS,
  Steps,
  said,
  signIn,
  signInHere,
  staleProof,
  watchedPage,
} from "./browser.mjs";
import { totp } from "./totp.mjs";

const url = env("CB_E2E_URL").replace(/\/$/, "");
const username = env("CB_E2E_USER");
const password = env("CB_E2E_PASSWORD");
const other = `grace-${Date.now().toString(36)}`;
const first = "four slow trains whistle";
const second = "nine blue lanterns drift";
const third = "two grey herons wait here";
/** A session that lives on is not taken for one that has ended within this time. */
const STAYS_MS = 2_000;

const browser = await launch();
const watches = [];
/** A window with cookies of its own. */
async function window(scheme = "dark") {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1360, height: 860 },
    colorScheme: scheme,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  context.setDefaultTimeout(15_000);
  const watch = await watchedPage(context, url);
  // Sessions end here all the time, also under a page that is just reading something.
  watch.allow(401, /./);
  watches.push(watch);
  return watch;
}
const admin = await window();
const steps = new Steps({
  page: admin.page,
  take: () => watches.flatMap((watch) => watch.take()),
});
async function shot(page, name) {
  // What floats fades in.
  await page.waitForTimeout(200);
  await page.screenshot({ path: `${SHOTS}identity-${name}.png` });
}
/** Live, and with no read under way: one whose session ends meanwhile is rightly answered 401. */
async function live(page) {
  await page.getByTitle("Live: changes appear immediately").waitFor();
  await page.waitForLoadState("networkidle");
}
/** A window whose session has ended hears of it by its stream: it asks for nothing by itself. */
const atLogin = (page) => page.waitForURL(/\/login/);
let inviteLink = "";
await steps.step("an administrator makes an invite, and shows again who they are first", async () => {
  const { page } = admin;
  await signIn(page, url, username, password);
  await page.getByRole("link", { name: "Users" }).click();
  await button(page, "Invite").click();
  await field(panel(page), "Role").selectOption("editor");
  await panel(page).getByLabel("Email").fill("grace@example.org");
  admin.allow(403, /\/(invites|auth\/proof)$/);
  await staleProof(page, "invites");
  await button(panel(page), "Create link").click();
  const proof = dialog(page, "Confirm your identity");
  await proof.waitFor();
  await shot(page, "proof");
  await judged(page);
  await field(proof, `Password of ${username}`).fill("wrong password");
  await page.keyboard.press("Enter");
  await said(proof, "This password is wrong.");
  await field(proof, `Password of ${username}`).fill(password);
  await page.keyboard.press("Enter");
  await proof.waitFor({ state: "detached" });
  const link = panel(page).getByLabel("Invite link");
  await link.waitFor();
  await button(panel(page), "Copy").click();
  await said(panel(page), "Copied");
  inviteLink = await page.evaluate(() => navigator.clipboard.readText());
  expect(inviteLink === (await link.inputValue()), "the copied link to be the shown one");
  expect(inviteLink.startsWith(`${url}/invite#`), `a full link, not ${inviteLink.slice(0, 40)}`);
  await shot(page, "invite-made");
  await button(panel(page), "Done").click();
});

await steps.step("a proof that is not given does nothing, and says so", async () => {
  const { page } = admin;
  await button(page, "Invite").click();
  await staleProof(page, "invites");
  await button(panel(page), "Create link").click();
  await button(dialog(page, "Confirm your identity"), "Cancel").click();
  await said(panel(page), "Nothing was changed");
  await button(panel(page), "Cancel").click();
});

await steps.step("invites are listed and can be withdrawn", async () => {
  const { page } = admin;
  await button(page, "Invite").click();
  await button(panel(page), "Create link").click();
  await panel(page).getByLabel("Invite link").waitFor();
  await button(panel(page), "Done").click();
  await page.getByRole("tab", { name: /^Invites/ }).click();
  await said(page, "grace@example.org");
  await shot(page, "invites");
  await judged(page);
  await button(page, "Withdraw the invite for Viewer").first().click();
  await button(page, "Withdraw the invite for Viewer").waitFor({ state: "detached" });
});

const grace = await window();
await steps.step("the invited person joins; the secret leaves the address bar at once", async () => {
  const { page } = grace;
  grace.allow(422, /\/auth\/invite$/);
  // Going back to the invite asks again whether it can be used.
  grace.allow(403, /\/auth\/link$/);
  await page.goto(inviteLink);
  await page.getByRole("heading", { name: "You are invited" }).waitFor();
  await page.waitForFunction(() => location.hash === "");
  await button(page, "Create account").click();
  await said(page, "Enter your username.");
  await field(page, "Username").fill(other);
  await field(page, "Password").fill(`${other}-2026`);
  await said(page, "Easy to guess");
  await button(page, "Create account").click();
  await said(page, "The password must not contain the username.");
  await field(page, "Password").fill(first);
  await button(page, "Show password").click();
  await shot(page, "invite");
  await judged(page);
  await button(page, "Create account").click();
  await page.waitForURL(/\/map/);
  expect((await page.getByRole("link", { name: "Users" }).count()) === 0, "no administration for an editor");
  await page.goBack();
  expect(!page.url().includes("#"), "no secret in the history");
});

await steps.step("an invite works once, and a link without a secret says so", async () => {
  const { page, allow } = await window("light");
  allow(403, /\/auth\/link$/);
  await page.goto(inviteLink);
  await said(page, "This invite has expired");
  expect((await button(page, "Create account").count()) === 0, "no form for an invite that cannot be used");
  await shot(page, "invite-used");
  await page.goto(`${url}/reset`);
  await said(page, "this address has none");
  await shot(page, "reset-without-secret");
  await judged(page);
});

const phone = await window("light");
await steps.step("a password changed in one window ends the other at once", async () => {
  await signIn(phone.page, url, other, first);
  await phone.page.goto(`${url}/inventory`);
  await phone.page.getByRole("heading", { name: "Inventory", exact: true }).waitFor();
  await live(phone.page);
  const { page } = grace;
  await page.goto(`${url}/map`);
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Your account" }).click();
  await page.getByRole("heading", { name: "Sessions", exact: true }).waitFor();
  await button(page, "Change password").click();
  await field(page, "Current password").fill("not this one at all");
  await field(page, "New password").fill(second);
  grace.allow(422, /\/auth\/password$/);
  await button(page, "Change password").click();
  await said(page, "The current password is wrong.");
  await shot(page, "password");
  await field(page, "Current password").fill(first);
  await live(page);
  // A second tab of the same browser shares the session, and so its new id.
  const tab = await page.context().newPage();
  await tab.goto(`${url}/networks`);
  await live(tab);
  const changed = page.waitForResponse((r) => r.url().endsWith("/auth/password") && r.status() === 200);
  await button(page, "Change password").click();
  await changed;
  await atLogin(phone.page);
  await said(page, "Password changed.");
  // This window has a new session, and stays where it is.
  await live(page);
  await page.waitForTimeout(STAYS_MS);
  expect(page.url() === `${url}/account`, `to stay on the account page, not ${page.url()}`);
  await live(tab);
  expect(tab.url() === `${url}/networks`, `the other tab to stay where it was, not ${tab.url()}`);
  await tab.close();
  await said(page, "This device");
});

await steps.step("the window that was sent away comes back to where it was, and nowhere else", async () => {
  const { page } = phone;
  await signInHere(page, other, first);
  await said(page, "The username or password is wrong.");
  await signInHere(page, other, second);
  await page.waitForURL(/\/inventory/);
  for (const evil of ["//evil.example", "/\\evil.example", "https:evil.example", "/%2Fevil.example"]) {
    await page.goto(`${url}/login?next=${encodeURIComponent(evil)}`);
    await signInHere(page, other, second);
    await page.waitForURL((at) => at.pathname === "/map");
    expect(page.url() === `${url}/map`, `the map, not ${page.url()}`);
  }
});

let secret = "";
let recovery = [];
await steps.step("two-factor sign-in is turned on, with recovery codes shown once", async () => {
  const { page } = grace;
  await button(page, "Turn on").click();
  await page.getByRole("img", { name: "QR code for an authenticator app" }).waitFor();
  secret = await page.getByLabel("Or enter this key in the app").inputValue();
  expect(/^[A-Z2-7]{32}$/.test(secret), "a base32 secret of 160 bits");
  await shot(page, "two-factor");
  await judged(page);
  grace.allow(422, /\/auth\/totp\/confirm$/);
  await page.getByLabel("Code from the app").fill("000000");
  await page.keyboard.press("Enter");
  await said(page, "is wrong");
  await page.getByLabel("Code from the app").fill(totp(secret));
  await page.keyboard.press("Enter");
  const codes = dialog(page, "Recovery codes");
  await codes.waitFor();
  recovery = await codes.getByRole("listitem").allTextContents();
  expect(recovery.length === 10, `ten codes, not ${recovery.length}`);
  await page.keyboard.press("Escape");
  await said(codes, "Save the codes first");
  const download = page.waitForEvent("download");
  await button(codes, "Download").click();
  const text = readFileSync(await (await download).path(), "utf8");
  expect(
    recovery.every((code) => text.includes(code)),
    "every code in the file",
  );
  await button(codes, "Copy").click();
  await said(codes, "Copied");
  await shot(page, "recovery-codes");
  await judged(page);
  await codes.getByLabel("I have saved the codes").check();
  await button(codes, "Done").click();
  await said(page, "10 recovery codes left.");
  await atLogin(phone.page);
  expect(page.url() === `${url}/account`, "this window to stay");
});

await steps.step("signing in asks for the code after the password", async () => {
  const { page } = phone;
  await page.goto(`${url}/networks`);
  await page.waitForURL(/\/login\?next=/);
  await signInHere(page, other, second);
  await page.getByRole("heading", { name: "Two-factor sign-in" }).waitFor();
  expect(
    (await field(page, "Code").getAttribute("autocomplete")) === "one-time-code",
    "a field for one-time codes",
  );
  await shot(page, "second-factor");
  await judged(page);
  await field(page, "Code").fill("000000");
  await page.keyboard.press("Enter");
  await said(page, "This code is wrong.");
  expect(
    await field(page, "Code").evaluate((box) => box === document.activeElement),
    "the field to have the focus",
  );
  await field(page, "Code").fill(totp(secret, 1));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/networks/);
});

await steps.step(
  "a second step that took too long leads back to the password; a recovery code is enough",
  async () => {
    const { page } = phone;
    await live(page);
    await page.getByRole("button", { name: /^Account of/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await page.waitForURL(/\/login/);
    await signInHere(page, other, second);
    await field(page, "Code").waitFor();
    await page.evaluate(() => {
      const real = Date.now;
      Date.now = () => real() + 6 * 60_000;
    });
    await field(page, "Code").fill("000000");
    await page.keyboard.press("Enter");
    await said(page, "Start again.");
    await shot(page, "second-factor-expired");
    expect((await field(page, "Username").inputValue()) === other, "the name to be kept");
    await page.reload();
    await signInHere(page, other, second);
    await field(page, "Code").fill(recovery[0].toLowerCase().replaceAll("-", " "));
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/map/);
  },
);

await steps.step("sessions are listed in plain words, and one is ended", async () => {
  const { page } = grace;
  await page.reload();
  await said(page, "9 recovery codes left.");
  await said(page, "Chrome on Linux");
  await shot(page, "account");
  await judged(page);
  await live(phone.page);
  await button(page, "End the session on Chrome on Linux").click();
  await atLogin(phone.page);
  await button(page, "End the session on Chrome on Linux").waitFor({ state: "detached" });
});

await steps.step(
  "an API token is made with no more than one's own permissions, works, and ends",
  async () => {
    const { page } = grace;
    await button(page, "New token").click();
    const form = dialog(page, "New token");
    expect((await form.getByLabel("Manage users").count()) === 0, "no scope beyond the own role");
    await button(form, "Create token").click();
    await said(form, "This field is required.");
    await field(form, "Name").fill("backup script");
    await form.getByLabel("View scans and findings").check();
    await form.getByLabel("Expires after").selectOption("30");
    await shot(page, "token-form");
    await judged(page);
    // The question stands over the form; what was typed there stays, whichever way it is answered.
    grace.allow(403, /\/(tokens|auth\/proof)$/);
    await staleProof(page, "tokens");
    await button(form, "Create token").click();
    const proof = dialog(page, "Confirm your identity");
    await proof.waitFor();
    await page.keyboard.press("Escape");
    await said(form, "Nothing was changed");
    expect((await field(form, "Name").inputValue()) === "backup script", "the form to keep what was typed");
    await staleProof(page, "tokens");
    await button(form, "Create token").click();
    await field(proof, `Password of ${other}`).fill(second);
    await field(proof, "Code").fill(recovery[1]);
    await shot(page, "proof-over-form");
    await judged(page);
    await page.keyboard.press("Enter");
    const shown = dialog(page, "Your new token");
    const token = await shown.getByLabel("Token", { exact: true }).inputValue();
    await shot(page, "token-made");
    await button(shown, "Done").click();
    const api = await request.newContext({ ignoreHTTPSErrors: true });
    const asks = async (path) =>
      (await api.get(`${url}/api/v1${path}`, { headers: { Authorization: `Bearer ${token}` } })).status();
    expect((await asks("/assets")) === 200, "the token to read the inventory");
    expect((await asks("/settings")) === 403, "and no more");
    await said(page, "backup script");
    await shot(page, "tokens");
    await button(page, "Delete token backup script").click();
    await button(dialog(page, "Delete token backup script"), "Delete").click();
    await dialog(page, "Delete token backup script").waitFor({ state: "detached" });
    await page.getByText("backup script").waitFor({ state: "detached" });
    expect((await asks("/assets")) === 401, "the token to be dead");
    await api.dispose();
  },
);

await steps.step("recovery codes are made anew, two-factor sign-in is turned off and on again", async () => {
  const { page } = grace;
  await button(page, "Create new recovery codes").click();
  await button(dialog(page, "Create new recovery codes"), "Create new recovery codes").click();
  const codes = dialog(page, "Recovery codes");
  await codes.getByLabel("I have saved the codes").check();
  await button(codes, "Done").click();
  await said(page, "10 recovery codes left.");
  await button(page, "Turn off").click();
  await shot(page, "turn-off");
  await button(dialog(page, "Turn off two-factor sign-in"), "Turn off").click();
  await button(page, "Turn on").click();
  secret = await page.getByLabel("Or enter this key in the app").inputValue();
  await page.getByLabel("Code from the app").fill(totp(secret));
  await page.keyboard.press("Enter");
  await codes.getByLabel("I have saved the codes").check();
  await button(codes, "Done").click();
});

await steps.step("an administrator clears a second factor, which ends the sessions", async () => {
  const { page } = admin;
  await page.getByRole("tab", { name: "Users" }).click();
  await page.getByRole("searchbox", { name: "Search users" }).fill(other);
  await page.locator("tbody [data-row-open]", { hasText: other }).click();
  await panel(page).getByRole("heading", { name: other }).waitFor();
  await said(panel(page), "Chrome on Linux");
  await shot(page, "user");
  await judged(page);
  await button(panel(page), "Remove second factor").click();
  await button(dialog(page, `Remove the second factor of ${other}`), "Remove second factor").click();
  await atLogin(grace.page);
  await button(panel(page), "Remove second factor").waitFor({ state: "detached" });
});

await steps.step("a reset link sets a new password", async () => {
  const { page } = admin;
  await button(panel(page), "Reset link").click();
  const shown = dialog(page, "Reset link");
  const link = await shown.getByLabel(`Reset link for ${other}`).inputValue();
  expect(link.startsWith(`${url}/reset#`), "a full link");
  await shot(page, "reset-link");
  await judged(page);
  await button(shown, "Done").click();
  await grace.page.goto("about:blank");
  await grace.page.goto(link);
  await grace.page.waitForFunction(() => location.hash === "");
  await field(grace.page, "New password").fill(third);
  await shot(grace.page, "reset");
  await judged(grace.page);
  await button(grace.page, "Set new password").click();
  await grace.page.waitForURL(/\/login/);
  await said(grace.page, "Your new password is set.");
  await signInHere(grace.page, other, third);
  await grace.page.waitForURL(/\/map/);
  await live(grace.page);
});

await steps.step("a role is changed, sessions are ended, a user is disabled and enabled", async () => {
  const { page } = admin;
  await field(panel(page), "Role").selectOption("viewer");
  await button(dialog(page, `Change the role of ${other} to Viewer`), "Change role").click();
  await atLogin(grace.page);
  await said(page, `${other} now has the role Viewer`);
  await signInHere(grace.page, other, third);
  await grace.page.waitForURL(/\/map/);
  await grace.page.goto(`${url}/inventory`);
  await live(grace.page);
  expect((await button(grace.page, "Add asset").count()) === 0, "nothing to add for a viewer");
  await page.reload();
  await button(panel(page), "End all sessions").click();
  await atLogin(grace.page);
  await button(panel(page), "Disable").click();
  await button(dialog(page, `Disable ${other}`), "Disable").click();
  await button(panel(page), "Enable").waitFor();
  await shot(page, "user-disabled");
  await judged(page);
  await signInHere(grace.page, other, third);
  await said(grace.page, "The username or password is wrong.");
  await button(panel(page), "Enable").click();
  await button(panel(page), "Disable").waitFor();
});

await steps.step("the last administrator stays, in the server's words", async () => {
  const { page } = admin;
  admin.allow(409, /\/users\/[^/]+$/);
  await button(panel(page), "Close").click();
  await page.getByRole("searchbox", { name: "Search users" }).fill(username);
  await page.locator("tbody [data-row-open]", { hasText: username }).first().click();
  await said(panel(page), "This is your own account.");
  await button(panel(page), "Disable").click();
  const question = dialog(page, `Disable ${username}`);
  await button(question, "Disable").click();
  await said(question, "This is the last administrator. Make another user an administrator first.");
  await shot(page, "last-administrator");
  await button(question, "Cancel").click();
});

await steps.step("a user is added with a password, and deleted by typing the name", async () => {
  const { page } = admin;
  await button(page, "Add user").click();
  await field(panel(page), "Username").fill(`${other}-2`);
  await field(panel(page), "Password").fill("short");
  await button(panel(page), "Create user").click();
  await said(panel(page), "Use at least 8 characters.");
  await field(panel(page), "Password").fill(first);
  await shot(page, "user-form");
  await judged(page);
  await button(panel(page), "Create user").click();
  for (const name of [`${other}-2`, other]) {
    await page.getByRole("searchbox", { name: "Search users" }).fill(name);
    await page
      .locator("tbody [data-row-open]")
      .filter({ hasText: new RegExp(`^${name}$`) })
      .click();
    await panel(page).getByRole("heading", { name, exact: true }).waitFor();
    await button(panel(page), "Delete").click();
    const question = dialog(page, `Delete ${name}`);
    expect(await button(question, "Delete").isDisabled(), "nothing to be deleted before the name is typed");
    await question.getByLabel(`Type ${name} to confirm`).fill(name);
    await button(question, "Delete").click();
    await panel(page).waitFor({ state: "detached" });
  }
});

await steps.step("a search that settles does not call back whoever has left the page", async () => {
  const page = await admin.page.context().newPage();
  await page.goto(`${url}/users`);
  const search = page.getByRole("searchbox", { name: "Search users" });
  await search.waitFor();
  // The next page's code is slower than the search box, as on a slow network.
  await page.route("**/assets/*.js", async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await route.continue();
  });
  await search.fill("ad");
  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByLabel("Only this action").waitFor();
  await page.waitForURL(/\/audit/);
  await page.close();
});

await steps.step("the audit log tells it, by action", async () => {
  const { page } = admin;
  await page.getByRole("link", { name: "Audit log" }).click();
  await page.getByLabel("Only this action").selectOption("invite_accepted");
  await page.waitForURL(/action=invite_accepted/);
  await page.waitForFunction(() => {
    const rows = [...document.querySelectorAll("tbody [data-row-open]")];
    return rows.length > 0 && rows.every((row) => /accepted (an|\d+) invite/.test(row.textContent));
  });
  await shot(page, "audit");
  await judged(page);
});

await steps.step("the audit log follows itself, shows before and after, and is exported whole", async () => {
  const { page } = admin;
  await page.goto(`${url}/audit`);
  await page.locator("tbody [data-row-open]").first().waitFor();
  await live(page);
  const tab = await page.context().newPage();
  await tab.goto(`${url}/settings`);
  const name = field(tab, "Name");
  const before = await name.inputValue();
  await name.fill(`${before} 2`);
  await button(tab, "Save").first().click();
  await said(tab, "Saved");
  // Not necessarily the newest: what the server counts for a minute, such as invalid invites, may come after it.
  const rows = page.locator("tbody [data-row-open]");
  await rows.filter({ hasText: "changed the settings: instance name" }).first().click();
  const changes = panel(page).getByRole("table");
  const cells = await changes.locator("tbody tr").first().locator("th, td").allTextContents();
  expect(
    JSON.stringify(cells) === JSON.stringify(["Instance name", before, `${before} 2`]),
    `the field, before and after, not ${cells.join(", ")}`,
  );
  await shot(page, "audit-entry");
  await judged(page);
  await button(page, "Live").click();
  await name.fill(before);
  await button(tab, "Save").first().click();
  await button(page, "Show new entries").click();
  await button(page, "Live").click();
  await page.getByLabel("Only this action").selectOption("settings_updated");
  await page.waitForURL(/action=settings_updated/);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download all matching entries as CSV" }).click();
  const lines = readFileSync(await (await download).path(), "utf8")
    .trim()
    .split("\r\n");
  expect(
    lines.length >= 3 && lines.slice(1).every((line) => line.includes("settings_updated")),
    `only what matches, and all of it, not ${lines.length} lines`,
  );
  await button(page, "Verify the log").click();
  await said(page, "signed checkpoint");
  const checkpoints = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download checkpoints" }).click();
  const kept = JSON.parse(readFileSync(await (await checkpoints).path(), "utf8"));
  expect(kept.public_key && kept.items.length > 0, "a key and checkpoints");
  await shot(page, "audit-verified");
  await judged(page);
  await tab.close();
});

await steps.step("how long the audit log is kept is a setting, and shortening it asks", async () => {
  const { page } = admin;
  await page.goto(`${url}/settings`);
  await page.getByLabel("Keep all entries forever").uncheck();
  await field(page, "Days to keep").fill("7");
  await button(page, "Save").last().click();
  await said(page, "Enter a number from 30 to 3,650.");
  await field(page, "Days to keep").fill("3650");
  await button(page, "Save").last().click();
  await shot(page, "retention");
  await judged(page);
  await button(dialog(page, "Keep entries for 3,650 days only"), "Keep entries for 3,650 days only").click();
  await dialog(page, "Keep entries for 3,650 days only").waitFor({ state: "detached" });
  await page.reload();
  expect((await field(page, "Days to keep").inputValue()) === "3650", "the days to be kept");
  await page.getByLabel("Keep all entries forever").check();
  await button(page, "Save").last().click();
  await said(page, "Saved");
});

const places = [
  "/account",
  "/users",
  "/users?panel=invite",
  "/users?panel=new",
  "/users?tab=invites",
  "/audit",
];
for (const scheme of ["dark", "light"]) {
  for (const [size, viewport] of [
    ["desk", { width: 1360, height: 860 }],
    ["phone", { width: 390, height: 844 }],
  ]) {
    for (const place of places) {
      await steps.step(`axe: ${place}, ${scheme}, ${size}`, async () => {
        const { page } = admin;
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme: scheme });
        await page.goto(url + place);
        await page.locator("h1").first().waitFor();
        await page.waitForTimeout(250);
        await judged(page);
        await shot(page, `${size}-${scheme}-${place.replace(/[^a-z]+/g, "-").replace(/^-|-$/g, "")}`);
      });
    }
  }
}

await browser.close();
process.exit(steps.end());
