// A proxy in front of the server, in a real browser: one that leaves the port out of `Host`, one that does not pass WebSockets, and one
// that speaks plain HTTP to the server.
//
//   CB_E2E_URL                            through a proxy as Nginx Proxy Manager sets it up
//   CB_E2E_NO_SOCKETS, CB_E2E_PLAIN       through the others
//   CB_E2E_USER, CB_E2E_PASSWORD          an administrator without a second factor
import { beginWalk, button, env, expect, field, judged, panel, said, signIn, site } from "./browser.mjs";

const { url, username, password } = site();

async function walk(origin, name, work) {
  const { browser, ...walked } = await beginWalk("proxies", origin);
  await walked.steps.step(name, () => work(walked));
  await browser.close();
  return walked.steps;
}

const all = [
  await walk(
    url,
    "a proxy that leaves the port out of Host: sign-in, a change, and live updates",
    async ({ page }) => {
      await signIn(page, url, username, password);
      await page.getByTitle("Live: changes appear immediately").waitFor();
      await page.getByRole("link", { name: "Networks" }).click();
      await page.getByRole("button", { name: "Add network" }).first().click();
      await field(panel(page), "Name").fill("Behind a proxy");
      await field(panel(page), "Network").fill("198.51.100.128/25");
      await button(panel(page), "Save").click();
      await page.getByRole("cell", { name: "198.51.100.128/25" }).waitFor();
      await judged(page);
    },
  ),
  await walk(
    env("CB_E2E_NO_SOCKETS"),
    "a proxy that does not pass WebSockets: the pages say so, and which lines it needs",
    async ({ page, watch, shot }) => {
      await signIn(page, env("CB_E2E_NO_SOCKETS"), username, password);
      const notice = page.getByRole("status").filter({ hasText: "Live updates are not working." });
      await notice.getByText("proxy_set_header Upgrade $http_upgrade;").waitFor();
      await judged(page);
      await shot("no-sockets");
      // The browser tells each socket that does not open.
      const other = watch
        .take()
        .filter((trouble) => !/WebSocket connection to '\S+\/stream' failed/.test(trouble));
      expect(other.length === 0, `no other trouble than ${other.join("\n")}`);
    },
  ),
  await walk(
    env("CB_E2E_PLAIN"),
    "a proxy that speaks plain HTTP: a page with the mend, and no endless redirect",
    async ({ page, watch, shot }) => {
      watch.allow(421, /^\/map$/);
      await page.goto(`${env("CB_E2E_PLAIN")}/map`);
      await said(page, "The proxy speaks plain HTTP to Circuit Breaker");
      for (const proxy of ["nginx", "Nginx Proxy Manager", "Traefik", "Caddy"]) {
        await page.getByRole("heading", { name: proxy, exact: true }).waitFor();
      }
      await judged(page);
      await shot("plain");
    },
  ),
];
const sum = (count) => all.reduce((total, steps) => total + steps[count], 0);
console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
process.exit(sum("failed") > 0 ? 1 : 0);
