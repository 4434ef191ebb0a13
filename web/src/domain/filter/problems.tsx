/** Says what of a filter cannot be carried out, and offers what can: each offer is a button that puts it there. */
import { useTranslation } from "#/i18n";
import type { Problem } from "./grammar";

const SHOWN = 40;

/** These are said calmly: a person may still be typing. */
const unfinished: ReadonlySet<Problem["type"]> = new Set(["open", "begun", "quote"]);

interface FilterProblemsProps {
  problems: readonly Problem[];
  text: string;
  onText: (text: string) => void;
}

export function FilterProblems({ problems, text, onText }: FilterProblemsProps) {
  const { t } = useTranslation();
  if (problems.length === 0) return null;
  return (
    <div className="flex max-h-44 flex-col gap-2 overflow-y-auto border-b border-line px-4 py-2">
      {problems.map((problem) => (
        <div key={`${problem.type} ${problem.at}`} className="flex flex-wrap items-center gap-1.5">
          <p role="status" className={unfinished.has(problem.type) ? "text-muted" : "text-degraded-text"}>
            {t(`filter.${problem.type}`, {
              key: problem.key,
              word: problem.of ? t(`filter.word.${problem.of}`) : problem.key,
              value: problem.value,
              token: problem.token,
              closed: closed(problem),
            })}
            {problem.offers.length > 0 && problem.type !== "begun" ? ` ${t(leadOf(problem))}` : null}
          </p>
          {problem.offers.slice(0, SHOWN).map((offer) => (
            <button
              key={offer}
              type="button"
              className="inline-flex min-h-6 items-center rounded border border-line-strong px-1.5 text-xs hover:bg-hover max-md:min-h-8"
              onClick={() => onText(accepted(text, problem, offer))}
            >
              {offer}
            </button>
          ))}
        </div>
      ))}
    </div>
  );
}

/** What leads to the offers, which are only some of all ports and times. */
const leadOf = ({ of }: Problem) => (of === "port" || of === "seen" ? "filter.example" : "filter.use");

/** Those to say: what only the server may know is a problem where nothing was found. */
export const problemsToSay = (problems: readonly Problem[], nothingFound: boolean): Problem[] =>
  problems.filter(({ doubt }) => !doubt || nothingFound);

/** The word with its closing quotation mark. */
const closed = ({ token }: Problem): string => {
  const begun = token.trimEnd();
  return begun.endsWith('"') ? `${begun}…"` : `${begun}"`;
};

/** The text with `offer` in the place of what was wrong. */
export function accepted(text: string, { type, key, token, at }: Problem, offer: string): string {
  const quoted = /\s/.test(offer) ? `"${offer}"` : offer;
  // An offered key brings its colon.
  const right =
    type === "key"
      ? offer + token.slice(token.indexOf(":") + 1)
      : type === "colon"
        ? offer + token.replace(/^:+/, "")
        : `${key}:${quoted}`;
  return text.slice(0, at) + right + text.slice(at + token.length);
}
