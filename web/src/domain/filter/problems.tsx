/** Says what of a filter cannot be carried out, and offers what can: each offer is a button that puts it there. */
import { useTranslation } from "#/i18n";
import type { Problem } from "./grammar";

const SHOWN = 14;

interface FilterProblemsProps {
  problems: readonly Problem[];
  text: string;
  onText: (text: string) => void;
}

export function FilterProblems({ problems, text, onText }: FilterProblemsProps) {
  const { t } = useTranslation();
  if (problems.length === 0) return null;
  return (
    <div className="flex flex-col gap-2 border-b border-line px-4 py-2">
      {problems.map((problem) => (
        <div
          key={`${problem.type} ${problem.key} ${problem.value}`}
          className="flex flex-wrap items-center gap-1.5"
        >
          <p role="status" className={problem.type === "open" ? "text-muted" : "text-degraded-text"}>
            {t(`filter.${problem.type}`, { key: problem.key, value: problem.value })}
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

/** The text with `offer` in the place of what was wrong. */
export function accepted(text: string, problem: Problem, offer: string): string {
  const quoted = /\s/.test(offer) ? `"${offer}"` : offer;
  const wrong = new RegExp(`(^|\\s)${problem.key}:(?:"[^"]*"?|[^\\s"]*)`, "i");
  const right = problem.type === "key" ? `${offer}${problem.value}` : `${problem.key}:${quoted}`;
  return text.replace(wrong, (_all, space: string) => space + right);
}
