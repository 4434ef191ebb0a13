import { render, screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { addWords } from "#/i18n";
import inventory from "#/i18n/en/inventory.json";
import { parseFilter, type Vocabulary } from "./grammar";
import { FilterProblems } from "./problems";

addWords(inventory);
const words: Vocabulary = {
  kinds: [{ word: "device", label: "Device" }],
  statuses: [{ word: "up", label: "Up" }],
  roles: [{ word: "printer", label: "Printer" }],
  tags: [],
  networks: [],
};

/** The sentence and the offers behind it. */
function said(text: string): string {
  render(<FilterProblems problems={parseFilter(text, words).problems} text={text} onText={() => {}} />);
  const offers = screen.queryAllByRole("button").map((one) => one.textContent);
  return [screen.getByRole("status").textContent, ...offers].join(" ");
}

describe("what is said of a filter", () => {
  it.each([
    ["status:asleep", "There is no status “asleep”. You can use: Up"],
    ["kind:Pinter", "There is no kind “Pinter”. You can use: Printer Device"],
    ["kind:pri", "Choose a kind: Printer"],
    ["port:http", "“http” is not a port. Enter a number from 1 to 65535. For example: 22 80 443"],
    // Where there is nothing to offer, nothing is announced.
    ["network:lan", "There is no network “lan”."],
    ["tag:prod", "There is no tag “prod”."],
    ["network:", "“network:” needs a value."],
    ["vendor:", "“vendor:” needs a value."],
    [
      "-kind:nas",
      "“-kind:” does not work, because filters cannot exclude. Remove the minus sign, or put the text in quotes to search for it.",
    ],
    ["a:b:c", "Nothing contains “a:b:c”. If you meant a filter, use only one colon."],
  ])("%s", (text, words) => {
    expect(said(text)).toBe(words);
  });
});
