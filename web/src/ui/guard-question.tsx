/** The question that guards what was typed (guard.tsx), and the navigation that asks it. */
import { useBlocker } from "@tanstack/react-router";
import { useSyncExternalStore } from "react";
import { useTranslation } from "#/i18n";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { answer, ask, forget, hasUnsaved, isAsked, keepsForms, watchQuestion } from "./guard";

/** Mounted once, around all pages that need a session. */
export function Guard() {
  const { t } = useTranslation();
  useBlocker({
    shouldBlockFn: async ({ current, next }) => {
      if (!hasUnsaved() || keepsForms(current, next)) return false;
      const discard = await ask();
      if (discard) forget();
      return !discard;
    },
    enableBeforeUnload: false,
  });
  const open = useSyncExternalStore(watchQuestion, isAsked);
  if (!open) return null;
  return (
    <Dialog title={t("guard.title")} description={t("guard.text")} open onClose={() => answer(false)}>
      <div className="flex flex-wrap gap-2">
        <Button look="primary" autoFocus onClick={() => answer(false)}>
          {t("guard.keep")}
        </Button>
        <Button look="danger" onClick={() => answer(true)}>
          {t("guard.discard")}
        </Button>
      </div>
    </Dialog>
  );
}
