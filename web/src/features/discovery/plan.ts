/** The words of a scan's plan, as a page shows them. */

/** "ARP: ask which device …" is a step; what has no such name is a limit that holds for all of them. */
const STEP = /^[^:]{1,40}: /;
/** Counts of things, and no ports or addresses. */
const COUNT = /\b\d{4,}(?= (?:addresses|packets|TCP ports)\b)/g;

export function planWords(lines: readonly string[]): { steps: string[]; limits: string[] } {
  const said = lines.map((line) => line.replace(COUNT, (count) => Number(count).toLocaleString("en")));
  return {
    steps: said.filter((line) => STEP.test(line)),
    limits: said.filter((line) => !STEP.test(line)),
  };
}
