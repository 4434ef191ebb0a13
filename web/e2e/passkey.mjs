// Signing in without a password, in a real browser on a real server that is already set up: a passkey is added, signs in
// alone, after a password and as a proof, and is removed again; an account at an OpenID Connect provider is connected,
// signs in, and is disconnected again. Any console error, content-policy report, failed request or axe violation fails
// the step.
//
//   CB_E2E_URL                    the server by a name, such as https://localhost:8443: passkeys belong to names
//   CB_E2E_USER, CB_E2E_PASSWORD  an administrator without a second factor
//   CB_E2E_ADDRESS_URL            the same server by an address, to see what is said there (optional)
//   CB_E2E_OIDC                   what e2e/oidc-provider.mjs prints: JSON of the provider that is running
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

const url = env("CB_E2E_URL").replace(/\/$/, "");
const addressUrl = process.env.CB_E2E_ADDRESS_URL?.replace(/\/$/, "");
const namedUrl = process.env.CB_E2E_NAMED_URL?.replace(/\/$/, "");
const username = env("CB_E2E_USER");
const password = env("CB_E2E_PASSWORD");
const provider = JSON.parse(env("CB_E2E_OIDC"));
const providerName = "Test provider";

const browser = await launch();
const context = await browser.newContext({
  ignoreHTTPSErrors: true,
  viewport: { width: 1360, height: 860 },
  colorScheme: "dark",
});
context.setDefaultTimeout(15_000);
const watch = await watchedPage(context, url, [provider.issuer]);
// What an ended session answers, and what every form that judges its own answers may get.
watch.allow(401, /(\/auth\/(me|login|mfa)|\/stream)$/);
const { page } = watch;
const steps = new Steps(watch);
async function shot(name) {
  await page.waitForTimeout(200);
  await page.screenshot({ path: `${SHOTS}passkey-${name}.png` });
}

/** Chromium's authenticator for tests: it keeps passkeys, and its holder is always there and verified. */
const authenticator = await context.newCDPSession(page);
await authenticator.send("WebAuthn.enable");
const { authenticatorId } = await authenticator.send("WebAuthn.addVirtualAuthenticator", {
  options: {
    protocol: "ctap2",
    transport: "internal",
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  },
});

async function signOut() {
  await page.getByRole("button", { name: /^Account of/ }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.waitForURL(/\/login/);
}
async function toAccount() {
  await page.goto(`${url}/account`);
  await page.getByRole("heading", { name: "Passkeys", exact: true }).waitFor();
}

if (addressUrl)
  await steps.step("by an address no passkey is offered, and the account page says why", async () => {
    const other = await browser.newContext({ ignoreHTTPSErrors: true });
    other.setDefaultTimeout(15_000);
    const there = await watchedPage(other, addressUrl);
    there.allow(401, /\/auth\/me$/);
    await there.page.goto(`${addressUrl}/login`);
    await there.page.waitForLoadState("networkidle");
    expect((await button(there.page, "Sign in with a passkey").count()) === 0, "no passkey by an address");
    await signIn(there.page, addressUrl, username, password);
    await there.page.goto(`${addressUrl}/account`);
    await said(there.page, "Passkeys work only with a server name");
    const troubles = there.take();
    expect(troubles.length === 0, `no trouble, not ${troubles.join("; ")}`);
    await other.close();
  });

if (namedUrl)
  await steps.step("a browser that does not trust the certificate says so before the button", async () => {
    // Passed by as a person passes it: the flag that ignores certificates would make it a trusted one.
    const { hostname } = new URL(namedUrl);
    const wary = await launch([`--host-resolver-rules=MAP ${hostname} 127.0.0.1`]);
    const there = await (await wary.newContext()).newPage();
    await there.goto(`${namedUrl}/login`).catch(() => {});
    // The warning takes a moment to listen.
    for (let tries = 0; tries < 20 && !there.url().startsWith(namedUrl); tries++) {
      await there.waitForTimeout(500);
      await there.keyboard.type("thisisunsafe");
      await there.waitForTimeout(500);
    }
    await there.waitForURL(/\/login/);
    await button(there, "Sign in with a passkey").waitFor();
    await said(there, "Your browser does not trust this server's certificate");
    await there.screenshot({ path: `${SHOTS}passkey-untrusted.png` });
    const links = there.getByRole("link", { name: "download the root certificate" });
    expect((await links.first().getAttribute("href")) === "/ca.crt", "a link to the authority");
    await wary.close();
  });

await steps.step("a passkey is added after a proof, and recovery codes are shown once", async () => {
  await signIn(page, url, username, password);
  await toAccount();
  await button(page, "Add a passkey").click();
  const form = dialog(page, "Add a passkey");
  expect(
    (await field(form, "Name").inputValue()) === "Chrome on Linux",
    "a name that says which device it is",
  );
  await shot("add");
  await judged(page);
  await field(form, "Name").fill("");
  await button(form, "Continue").click();
  await said(form, "This field is required.");
  await field(form, "Name").fill("Test key");
  watch.allow(403, /\/auth\/(passkeys\/registration|proof)$/);
  await staleProof(page, "auth/passkeys/registration");
  await button(form, "Continue").click();
  const proof = dialog(page, "Confirm your identity");
  await field(proof, `Password of ${username}`).fill(password);
  await page.keyboard.press("Enter");
  const codes = dialog(page, "Recovery codes");
  await codes.waitFor();
  expect((await codes.getByRole("listitem").count()) === 10, "ten codes");
  await shot("codes");
  await judged(page);
  await codes.getByLabel("I have saved the codes").check();
  await button(codes, "Done").click();
  await said(page, "Test key");
  await said(page, "10 recovery codes left.");
  await shot("account");
  await judged(page);
});

await steps.step("it is renamed", async () => {
  await button(page, "Rename passkey Test key").click();
  await field(page, "Name").fill("Laptop");
  await page.keyboard.press("Enter");
  await button(page, "Rename passkey Laptop").waitFor();
});

await steps.step("it signs in without a name and a password, and back to where one was", async () => {
  await signOut();
  await page.goto(`${url}/networks`);
  await page.waitForURL(/\/login\?next=/);
  await button(page, "Sign in with a passkey").waitFor();
  await shot("login");
  await judged(page);
  await button(page, "Sign in with a passkey").click();
  await page.waitForURL((at) => at.pathname === "/networks");
});

await steps.step("a passkey that is not shown is said in words, and the password still works", async () => {
  await signOut();
  await authenticator.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await button(page, "Sign in with a passkey").click();
  await said(page, "Your browser did not provide a passkey.");
  await shot("not-shown");
  await judged(page);
  await authenticator.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
});

await steps.step("after a password it is the second step, and a code may be typed instead", async () => {
  await signInHere(page, username, password);
  await page.getByRole("heading", { name: "Two-factor sign-in" }).waitFor();
  await button(page, "Use a passkey").waitFor();
  await shot("second-step");
  await judged(page);
  await button(page, "Use a code").click();
  await field(page, "Code").fill("0000-0000");
  await page.keyboard.press("Enter");
  await said(page, "This code is wrong.");
  await shot("second-step-code");
  await judged(page);
  // Once to change the way, once to show it.
  await button(page, "Use a passkey").click();
  await field(page, "Code").waitFor({ state: "detached" });
  await button(page, "Use a passkey").click();
  await page.waitForURL((at) => at.pathname === "/map");
});

await steps.step("it proves who one is", async () => {
  await toAccount();
  await button(page, "New token").click();
  const form = dialog(page, "New token");
  await field(form, "Name").fill("by passkey");
  watch.allow(403, /\/tokens$/);
  await staleProof(page, "tokens");
  await button(form, "Create token").click();
  const proof = dialog(page, "Confirm your identity");
  await button(proof, "Use a passkey").waitFor();
  await button(proof, "Use the password and a code").click();
  await field(proof, `Password of ${username}`).waitFor();
  await field(proof, "Code").waitFor();
  await button(proof, "Use a passkey").click();
  await field(proof, `Password of ${username}`).waitFor({ state: "detached" });
  await shot("proof");
  await judged(page);
  await button(proof, "Use a passkey").click();
  await button(dialog(page, "Your new token"), "Done").click();
  await button(page, "Delete token by passkey").click();
  await button(dialog(page, "Delete token by passkey"), "Delete").click();
  await button(page, "Delete token by passkey").waitFor({ state: "detached" });
});

await steps.step("the users page knows of it", async () => {
  await page.goto(`${url}/users`);
  await page.locator("tbody [data-row-open]", { hasText: username }).first().click();
  await panel(page).getByText("Passkeys", { exact: true }).waitFor();
  await judged(page);
});

await steps.step("it is removed, and the password alone is enough again", async () => {
  await toAccount();
  await button(page, "Remove passkey Laptop").click();
  await shot("remove");
  await button(dialog(page, "Remove passkey Laptop"), "Remove").click();
  await button(page, "Remove passkey Laptop").waitFor({ state: "detached" });
  await signOut();
  watch.allow(401, /\/auth\/passkeys\/login$/);
  await button(page, "Sign in with a passkey").click();
  await said(page, "This server does not know that passkey.");
  await shot("unknown");
  await signIn(page, url, username, password);
});

await steps.step("the end of a session is said before, and signing in again keeps the place", async () => {
  await page.route("**/api/v1/auth/me", async (route) => {
    const response = await route.fetch();
    const session_expires_at = new Date(Date.now() + 4 * 60_000).toISOString();
    await route.fulfill({ response, json: { ...(await response.json()), session_expires_at } });
  });
  await page.goto(`${url}/networks`);
  await said(page, "You will be signed out at");
  await shot("session-ends");
  await judged(page);
  await page.getByRole("link", { name: "Sign in again" }).click();
  await page.waitForURL(/\/login\?next=/);
  await page.unroute("**/api/v1/auth/me");
  await signInHere(page, username, password);
  await page.waitForURL((at) => at.pathname === "/networks");
});

for (const scheme of ["dark", "light"]) {
  for (const [size, viewport] of [
    ["desk", { width: 1360, height: 860 }],
    ["phone", { width: 390, height: 844 }],
  ]) {
    for (const place of ["/account", "/settings/providers", "/settings/providers?panel=new"]) {
      await steps.step(`axe: ${place}, ${scheme}, ${size}`, async () => {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme: scheme });
        await page.goto(url + place);
        await page.locator("h1").first().waitFor();
        await page.waitForTimeout(250);
        await judged(page);
        await shot(`${size}-${scheme}-${place.replace(/[^a-z]+/g, "-").replace(/^-|-$/g, "")}`);
      });
    }
  }
}
await page.setViewportSize({ width: 1360, height: 860 });

await steps.step("a provider is added, and tested", async () => {
  await page.goto(`${url}/settings`);
  await page.getByRole("link", { name: "Manage providers" }).click();
  await button(page, "Add provider").first().click();
  const form = panel(page);
  await field(form, "Name").fill(providerName);
  expect((await field(form, "Short name").inputValue()) === "test-provider", "a short name from the name");
  await field(form, "Issuer").fill(provider.issuer);
  await field(form, "Client ID").fill(provider.client_id);
  if (provider.client_secret) await field(form, "Client secret").fill(provider.client_secret);
  if (provider.certificate_sha256) {
    await form.getByText("Advanced", { exact: true }).click();
    await field(form, "Certificate (SHA-256)").fill(provider.certificate_sha256);
  }
  await field(form, "Role for everyone else").selectOption("viewer");
  await button(form, "Save").click();
  await field(form, "Redirect URI").waitFor();
  const redirect = await field(form, "Redirect URI").inputValue();
  expect(redirect.startsWith(`${url}/`), `a redirect URI of this server, not ${redirect}`);
  await button(form, "Test").click();
  await said(form, "The provider answers, and the server can use it.");
  await shot("provider");
  await judged(page);
});

await steps.step("an account there is not enough: it must be connected first", async () => {
  await signOut();
  await page.getByRole("link", { name: `Continue with ${providerName}` }).click();
  // From here on the provider knows who sits there.
  await page.getByLabel("Name").fill("somebody");
  await button(page, "Sign in").click();
  await page.waitForURL(/\/login\?problem=/);
  await said(page, `No account here is connected to your ${providerName} account.`);
  await shot("unknown-user");
  await judged(page);
});

await steps.step("it is connected on the account page", async () => {
  await signIn(page, url, username, password);
  await toAccount();
  await button(page, `Connect ${providerName}`).click();
  await said(page, `Connected ${providerName}.`);
  await page.waitForURL(`${url}/account`);
  await button(page, `Disconnect ${providerName}`).waitFor();
  await shot("connected");
  await judged(page);
});

await steps.step("it signs in, and back to where one was", async () => {
  await signOut();
  await page.goto(`${url}/networks`);
  await page.waitForURL(/\/login\?next=/);
  await page.getByRole("link", { name: `Continue with ${providerName}` }).click();
  await page.waitForURL((at) => at.pathname === "/networks");
  await page.getByRole("heading", { name: "Networks", exact: true }).waitFor();
});

await steps.step("it is disconnected, and the provider is deleted by typing its name", async () => {
  // A fresh session by the password, which can be shown as a proof.
  await signOut();
  await signIn(page, url, username, password);
  await toAccount();
  await button(page, `Disconnect ${providerName}`).click();
  await button(dialog(page, `Disconnect ${providerName}`), "Disconnect").click();
  await button(page, `Connect ${providerName}`).waitFor();
  await page.goto(`${url}/settings/providers`);
  await page.locator("tbody [data-row-open]", { hasText: providerName }).click();
  await button(panel(page), "Delete").click();
  const question = dialog(page, `Delete ${providerName}`);
  await question.getByLabel(`Type ${providerName} to confirm`).fill(providerName);
  await button(question, "Delete").click();
  await said(page, "No providers yet");
});

await browser.close();
process.exit(steps.end());
