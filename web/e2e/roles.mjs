// Nothing that a role sees is refused (403): each role that is no administrator opens every page and presses whatever is there.
//
//   CB_E2E_URL                        the server, with something of each kind in it
//   CB_E2E_ROLES, CB_E2E_PASSWORD     users who are called after their role, separated by commas, and their password
import { env, expect, judged, launch, SHOTS, Steps, signIn } from "./browser.mjs";

const url = env("CB_E2E_URL").replace(/\/$/, "");
const password = env("CB_E2E_PASSWORD");

/** Pages by their address, panels included: what is hidden must be closed too. */
const addresses = [
  ..."map inventory networks discovery notifications vault audit users settings account".split(" "),
  ..."map?view=list inventory?panel=new networks?selected=new discovery?scan=new discovery?tab=scans".split(
    " ",
  ),
  ..."notifications/channels notifications/incoming notifications?panel=new vault?panel=new vault/keys".split(
    " ",
  ),
  ..."users?panel=new users?panel=invite settings/providers settings/providers?panel=new".split(" "),
];
/** What would end the walk, or is no request of this page. */
const LEFT_OUT =
  /^(sign out|end|end all others|end the session.*|change password|set a password|turn on|add a passkey|csv|download.*|.*certificate|close|keep editing|discard changes|cancel|try again|reload.*|sign in again|start scan|undo|delete|delete .*)$/i;
const MOST = 60;

/** Whatever can be pressed now, in front of everything else; of a list its first row. */
function pressable() {
  const front =
    [...document.querySelectorAll("[role=dialog],[role=menu]")].at(-1) ?? document.querySelector("main");
  return [
    ...(front?.querySelectorAll("button, a[href], [role=menuitem], [role=menuitemradio], summary") ?? []),
  ]
    .filter((one) => {
      const row = one.closest("tbody tr");
      if (row && row !== row.parentElement.querySelector("tr:not([aria-hidden])")) return false;
      const { width, height } = one.getBoundingClientRect();
      return width > 0 && height > 0 && !one.disabled && !one.closest("fieldset:disabled");
    })
    .map((one) => ({
      name: (one.getAttribute("aria-label") ?? one.textContent ?? "").trim(),
      front: front.getAttribute("role") ?? "",
    }))
    .filter(({ name }) => name);
}

async function walkAs(browser, role, steps) {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1360, height: 860 },
  });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  steps.watch.page = page;
  let refused = [];
  page.on("response", (response) => {
    if (response.status() === 403)
      refused.push(`${response.request().method()} ${new URL(response.url()).pathname}`);
  });
  page.on("dialog", (dialog) => void dialog.accept());
  let underWay = 0;
  page.on("request", () => (underWay += 1));
  for (const end of ["requestfinished", "requestfailed"]) page.on(end, () => (underWay -= 1));
  const settled = async () => {
    await page.waitForTimeout(80);
    for (let waits = 0; underWay > 0 && waits < 40; waits++) await page.waitForTimeout(50);
  };
  const fine = async (what) => {
    const said = [...new Set(refused)];
    refused = [];
    if (said.length > 0) steps.watch.troubles.push(`${role}, ${what}: ${said.join(", ")}`);
  };

  await steps.step(`${role}: signs in`, () => signIn(page, url, role, password));
  let pressed = 0;
  for (const address of addresses) {
    await steps.step(`${role}: /${address}`, async () => {
      await page.goto(`${url}/${address}`);
      await settled();
      await fine(`opening /${address}`);
      if (address === "users") await judged(page);
      const done = new Set();
      for (let count = 0; count < MOST; count++) {
        const next = (await page.evaluate(pressable)).find(
          ({ name, front }) => !LEFT_OUT.test(name) && !done.has(`${front} ${name}`),
        );
        if (!next) {
          if ((await page.getByRole("dialog").count()) + (await page.getByRole("menu").count()) === 0) break;
          // Nothing is left in front.
          await page.keyboard.press("Escape");
          await settled();
          const discard = page.getByRole("button", { name: "Discard changes" });
          if (await discard.count()) await discard.click();
          if (done.has("escaped")) break;
          done.add("escaped");
          continue;
        }
        done.delete("escaped");
        done.add(`${next.front} ${next.name}`);
        for (const box of await page
          .locator("aside input[type=text]:enabled:visible, aside input:not([type]):enabled:visible")
          .all())
          if ((await box.inputValue()) === "") await box.fill("e2e").catch(() => {});
        const scope = next.front ? page.getByRole(next.front).last() : page.locator("main");
        const target = scope
          .locator("button, a[href], [role=menuitem], [role=menuitemradio], summary")
          .and(page.locator(":visible"))
          .and(
            page
              .getByLabel(next.name, { exact: true })
              .or(scope.getByText(next.name, { exact: true }))
              .or(scope.getByRole("button", { name: next.name, exact: true }))
              .or(scope.getByRole("link", { name: next.name, exact: true })),
          )
          .first();
        const was = new URL(page.url()).pathname;
        if (
          !(await target.click({ timeout: 1_500 }).then(
            () => true,
            () => false,
          ))
        )
          continue;
        pressed += 1;
        await settled();
        const discard = page.getByRole("button", { name: "Discard changes" });
        if (await discard.count()) await discard.click();
        await fine(`“${next.name}” on /${address}`);
        expect(
          (await page.getByText("You do not have access to this page").count()) === 0 ||
            /access/.test(address) ||
            new URL(page.url()).pathname === was,
          `“${next.name}” not to lead to a page that ${role} may not see`,
        );
        if (new URL(page.url()).pathname !== was) {
          await page.goto(`${url}/${address}`);
          await settled();
        }
      }
    });
  }
  await steps.step(`${role}: has found something to press`, async () =>
    expect(pressed > 40, `more than ${pressed}`),
  );
  await page.screenshot({ path: `${SHOTS}roles-${role}.png` });
  await context.close();
}

const browser = await launch();
const troubles = [];
const steps = new Steps({ troubles, page: null, take: () => troubles.splice(0) });
for (const role of env("CB_E2E_ROLES").split(",")) await walkAs(browser, role, steps);
await browser.close();
process.exit(steps.end());
