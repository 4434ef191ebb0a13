// A forgotten password, in a real browser on a real server that is already set up: a link is asked for, read from the mail that a
// server on loopback received over TLS, opened, and used once. Any console error, content-policy report, failed request or axe
// violation fails the step.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, whose CB_PUBLIC_URL is this address, and an administrator
import { execFileSync } from "node:child_process";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { beginWalk, button, expect, field, judged, said, signIn, signInHere, site } from "./browser.mjs";
import { totp } from "./totp.mjs";

const { url, username, password } = site();
const OLD = "five green kettles rest";
const NEW = "nine green kettles hum";

/** Takes every mail, over TLS from the first byte (RFC 8314). */
async function mailServer() {
  const folder = mkdtempSync(join(tmpdir(), "cb-e2e-mail-"));
  const at = (name) => join(folder, name);
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=mail.test"];
  execFileSync("openssl", [...made, "-keyout", at("key"), "-out", at("cert")], { stdio: "ignore" });
  const [key, cert] = [readFileSync(at("key")), readFileSync(at("cert"))];
  rmSync(folder, { recursive: true });
  const mails = [];
  const server = createServer({ key, cert }, (socket) => {
    let [pending, mail] = ["", null];
    socket.on("error", () => socket.destroy());
    socket.write("220 mail.test\r\n");
    socket.on("data", (chunk) => {
      pending += chunk;
      for (let end = pending.indexOf("\r\n"); end >= 0; end = pending.indexOf("\r\n")) {
        const line = pending.slice(0, end);
        pending = pending.slice(end + 2);
        if (mail !== null && line !== ".") mail += `${line}\n`;
        else if (mail !== null) {
          mails.push(mail);
          mail = null;
          socket.write("250 taken\r\n");
        } else if (line === "DATA") {
          mail = "";
          socket.write("354 go on\r\n");
        } else socket.write(line === "QUIT" ? "221 bye\r\n" : "250 ok\r\n");
      }
    });
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const pin = createHash("sha256").update(new X509Certificate(cert).raw).digest("hex");
  return { server, mails, pin, port: String(server.address().port) };
}
const post = await mailServer();

const { browser, watch, page, steps, shot, ask } = await beginWalk("forgot", url);
watch.allow(403, /\/auth\/(link|reset)$/);

async function signOut() {
  // So that no page asks for anything as a stranger.
  await page.goto("about:blank");
  await page.context().clearCookies();
  await page.goto(`${url}/login`);
  await field(page, "Username").waitFor();
}

/** The link of the newest of so many mails, whose lines are folded (RFC 2045, 6.7). */
async function mailed(count, to) {
  for (let n = 0; n < 200 && post.mails.length < count; n += 1) await page.waitForTimeout(50);
  expect(post.mails.length === count, `${count} mails, not ${post.mails.length}`);
  const mail = post.mails[count - 1].replaceAll("=\n", "").replaceAll("=3D", "=");
  expect(mail.includes(`To: ${to}\n`), `a mail to ${to}, not ${mail}`);
  const link = /https:\/\/\S+\/reset#\S+/.exec(mail)?.[0];
  expect(link?.startsWith(`${url}/reset#`), `a link in ${mail}`);
  return link;
}

async function askFor(name) {
  await page.goto(`${url}/login`);
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await field(page, "Username").fill(name);
  await page.keyboard.press("Enter");
  await said(page, "the server has sent a link to it");
}

async function setPassword(link, value) {
  await page.goto("about:blank");
  await page.goto(link);
  await field(page, "New password").waitFor();
  await judged(page);
  await field(page, "New password").fill(value);
  await button(page, "Set new password").click();
}

await steps.step("without a channel for mail, no link is offered", async () => {
  await page.goto(`${url}/login`);
  await page
    .getByRole("link", { name: /certificate/i })
    .first()
    .waitFor();
  expect((await page.getByRole("link", { name: "Forgot your password?" }).count()) === 0, "no such link");
  await page.goto(`${url}/reset`);
  await said(page, "ask an administrator for a new one");
});

let secret;
await steps.step("a channel for mail, and two users with an address", async () => {
  await signIn(page, url, username, password);
  await ask("POST", "/channels", {
    name: "Mail",
    kind: "email",
    certificate_sha256: post.pin,
    public: {
      host: "127.0.0.1",
      port: post.port,
      security: "tls",
      from: "breaker@attic.test",
      to: "maria@attic.test",
    },
  });
  for (const name of ["ada", "grace"])
    await ask("POST", "/users", {
      username: name,
      role: "viewer",
      password: OLD,
      email: `${name}@attic.test`,
    });
  await signOut();
  await signInHere(page, "grace", OLD);
  await page.waitForURL(/\/map/);
  secret = (await ask("POST", "/auth/totp", {})).secret;
  await ask("POST", "/auth/totp/confirm", { code: totp(secret) });
  await signOut();
});

await steps.step("the sign-in page leads to the question, which wants a name", async () => {
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await page.getByRole("heading", { name: "Forgot your password?" }).waitFor();
  await judged(page);
  await button(page, "Email me a link").click();
  expect((await field(page, "Username").getAttribute("aria-invalid")) === "true", "the field to say so");
  await judged(page);
  await shot("nameless");
});

let link;
await steps.step(
  "the page says the same to a name that nobody has, and only a user gets a mail",
  async () => {
    await askFor("nobody");
    const words = await page.locator("main").textContent();
    await askFor("ada");
    expect((await page.locator("main").textContent()) === words, "the same words");
    await judged(page);
    link = await mailed(1, "ada@attic.test");
  },
);

await steps.step(
  "the link opens, leaves the address bar, and sets a password by which one signs in",
  async () => {
    await setPassword(link, "short");
    await said(page, "at least");
    expect(page.url() === `${url}/reset`, `no secret in the address, not ${page.url()}`);
    await judged(page);
    await field(page, "New password").fill(NEW);
    await button(page, "Set new password").click();
    await said(page, "Your new password is set");
    await page.waitForURL(/\/login/);
    await shot("set");
    await signInHere(page, "ada", NEW);
    await page.waitForURL(/\/map/);
    await signOut();
    await signInHere(page, "ada", OLD);
    await said(page, "is wrong");
  },
);

await steps.step("an old link is refused, and the way to a new one is shown", async () => {
  await page.goto("about:blank");
  await page.goto(link);
  await said(page, "This link has expired, or it has already been used. Request a new one.");
  await judged(page);
  await page.getByRole("link", { name: "Email me a new link" }).click();
  await page.getByRole("heading", { name: "Forgot your password?" }).waitFor();
  await page.goto(`${url}/reset`);
  await page.getByRole("link", { name: "Email me a new link" }).waitFor();
  await judged(page);
});

await steps.step("a second factor stays: the new password alone is not enough", async () => {
  await askFor("grace");
  await setPassword(await mailed(2, "grace@attic.test"), NEW);
  await page.waitForURL(/\/login/);
  await signInHere(page, "grace", NEW);
  await page.getByRole("heading", { name: "Two-factor sign-in" }).waitFor();
  await field(page, "Code").fill(totp(secret, 1));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/map/);
  await signOut();
});

for (const scheme of ["dark", "light"]) {
  for (const [size, viewport] of [
    ["desk", { width: 1360, height: 860 }],
    ["phone", { width: 390, height: 844 }],
  ]) {
    await steps.step(`axe: the question, its answer and a used link, ${scheme}, ${size}`, async () => {
      const picture = async (name) => {
        await judged(page);
        await shot(`${size}-${scheme}-${name}`);
      };
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(`${url}/login`);
      await page.getByRole("link", { name: "Forgot your password?" }).waitFor();
      await picture("login");
      await page.goto(`${url}/forgot`);
      await field(page, "Username").waitFor();
      await picture("asked");
      // Whoever asks more than five times waits, so not everybody who looks here asks.
      if ((scheme === "dark") === (size === "desk")) {
        await field(page, "Username").fill("nobody");
        await page.keyboard.press("Enter");
        await said(page, "the server has sent a link to it");
        await picture("answered");
      }
      await page.goto("about:blank");
      await page.goto(link);
      await said(page, "This link has expired");
      await picture("used");
      await page.goto(`${url}/reset`);
      await page.getByRole("link", { name: "Email me a new link" }).waitFor();
      await picture("no-secret");
    });
  }
}

await browser.close();
post.server.close();
process.exit(steps.end());
