// What people see while nothing can be saved, in a real browser: another program locks the database of the running server.
//
//   CB_E2E_URL, CB_E2E_USER, CB_E2E_PASSWORD   the server, and an administrator without a second factor
//   CB_E2E_DATABASE                            the server's SQLite file
import { spawn } from "node:child_process";
import { once } from "node:events";
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
const { browser, watch, page, steps, shot } = await beginWalk("storage", url);
const notice = () => page.getByRole("alert").filter({ hasText: "Nothing can be saved" });

/** Somebody who looks into the database and does not let go of it. */
async function lock() {
  const shell = spawn("sqlite3", [env("CB_E2E_DATABASE")], { stdio: ["pipe", "pipe", "inherit"] });
  shell.stdin.write(".timeout 5000\nBEGIN IMMEDIATE;\nSELECT 'locked';\n");
  const [said] = await once(shell.stdout, "data");
  expect(String(said).includes("locked"), "a lock");
  return async () => {
    shell.stdin.end("ROLLBACK;\n");
    await once(shell, "exit");
  };
}

await steps.step("while nothing can be saved the page says so, and what was typed stays", async () => {
  await signIn(page, url, username, password);
  await page.getByRole("link", { name: "Networks" }).click();
  await page.getByRole("button", { name: "Add network" }).first().click();
  await field(panel(page), "Name").fill("Lab");
  await field(panel(page), "Network").fill("198.51.100.0/24");
  watch.allow(503, /\/networks$/);
  const release = await lock();
  const began = Date.now();
  await button(panel(page), "Save").click();
  await said(panel(page), "The database cannot do this at the moment");
  expect(Date.now() - began < 10_000, "an answer in time");
  await notice().getByText("another program has locked the database").waitFor();
  await judged(page);
  await shot("locked");
  await page.getByRole("link", { name: "Inventory", exact: true }).click();
  await button(dialog(page, "Discard your changes?"), "Discard changes").click();
  await page.getByRole("heading", { name: "Inventory", exact: true }).waitFor();
  await notice().waitFor();
  await page.goBack();
  await release();
});

await steps.step("when it can be saved again the notice goes by itself", async () => {
  await notice().waitFor({ state: "detached" });
  await judged(page);
});

await browser.close();
process.exit(steps.end());
