/** Why a form was not saved: at its head. What somebody else saved meanwhile stands beside what was typed. */
import { TriangleAlert } from "lucide-react";
import { useEffect, useId, useRef } from "react";
import { type FieldValues, useWatch } from "react-hook-form";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { FormError } from "#/ui/form-error";
import { since } from "#/ui/time";
import type { Conflict, Edit } from "./use-edit";

export function EditTrouble<T, V extends FieldValues>({ edit }: { edit: Edit<T, V> }) {
  return (
    <>
      {edit.conflict ? <BothChanged edit={edit} conflict={edit.conflict} /> : null}
      <FormError error={edit.error} />
    </>
  );
}

function useHeadline(): (conflict: Conflict<unknown, never>) => string {
  const { t } = useTranslation();
  return ({ who, at }) => {
    const when = at ? since(at) : "";
    if (who === "you") return t("edit.byYou", { when });
    if (who === "scan") return t("edit.byScan", { when });
    if (who) return t("edit.by", { name: who.name, when });
    return at ? t("edit.at", { when }) : t("edit.bySomebody");
  };
}

function BothChanged<T, V extends FieldValues>({
  edit,
  conflict,
}: {
  edit: Edit<T, V>;
  conflict: Conflict<T, V>;
}) {
  const { t } = useTranslation();
  const title = useId();
  const box = useRef<HTMLElement>(null);
  const headline = useHeadline();
  // What is typed from now on is shown too.
  useWatch({ control: edit.control });
  // Also when somebody presses the button that saves again, without a decision.
  useEffect(() => {
    if (!conflict) return;
    box.current?.scrollIntoView({ block: "nearest" });
    box.current?.focus();
  }, [conflict]);
  const shown = (text: ((values: V) => string) | undefined, values: V) =>
    text ? text(values) || t("edit.empty") : t("edit.secret");
  return (
    <section
      ref={box}
      aria-labelledby={title}
      tabIndex={-1}
      className="flex flex-col gap-3 rounded-md border border-degraded/50 bg-sunken p-3"
    >
      <div id={title} className="flex gap-2.5">
        <TriangleAlert aria-hidden className="mt-0.5 size-4 shrink-0 text-degraded-text" />
        <p className="min-w-0 break-words">
          {headline(conflict as unknown as Conflict<unknown, never>)}{" "}
          {t("edit.kept", { count: conflict.groups.length })}
        </p>
      </div>
      <dl className="flex flex-col gap-2.5">
        {conflict.groups.map(({ paths, label, text }) => (
          <div key={paths[0]} className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-0.5">
            <dt className="col-span-2 text-xs font-medium text-muted">{label}</dt>
            <dd className="contents">
              <span className="text-muted">{t("edit.yours")}</span>
              <span className="max-h-24 overflow-y-auto break-words whitespace-pre-wrap">
                {shown(text, edit.values())}
              </span>
            </dd>
            <dd className="contents">
              <span className="text-muted">{t("edit.theirs")}</span>
              <span className="max-h-24 overflow-y-auto break-words whitespace-pre-wrap">
                {shown(text, conflict.theirs)}
              </span>
            </dd>
          </div>
        ))}
      </dl>
      <div className="flex flex-wrap gap-2">
        <Button type="submit" onClick={edit.decide}>
          {t("edit.saveMine")}
        </Button>
        <Button onClick={edit.useOther}>{t("edit.useOther")}</Button>
      </div>
    </section>
  );
}
