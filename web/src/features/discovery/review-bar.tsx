import { CircleCheck, EyeOff, RotateCcw, Shapes, Tag as TagIcon, X } from "lucide-react";
import { useState } from "react";
import { TagPicker } from "#/domain/tag-picker";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { Cancel, Form } from "#/ui/form";
import { KindRoleField, readWhat } from "./kind-role";
import type { FindingState, Step } from "./queries";

interface ReviewBarProps {
  state: FindingState;
  accepts: boolean;
  count: number;
  /** All that fit the filter are selected. */
  all: boolean;
  /** How many fit. */
  total: number;
  /** Selects all that fit; there while only the loaded ones are. */
  onAll?: () => void;
  onStep: (step: Step) => void;
  onClear: () => void;
}

const DEVICE = "kind:device";

/** What is done to the selected findings: those that are ticked, or all that fit the filter, also those that are not loaded. */
export function ReviewBar({ state, accepts, count, all, total, onAll, onStep, onClear }: ReviewBarProps) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState<"kind" | "tags">();
  const [what, setWhat] = useState(DEVICE);
  const [tags, setTags] = useState<string[]>([]);
  const close = () => {
    setAsking(undefined);
    setWhat(DEVICE);
    setTags([]);
  };
  const done = (step: Step) => {
    close();
    onStep(step);
  };
  return (
    <div
      role="toolbar"
      aria-label={t("table.bulk")}
      className="flex min-h-12 flex-wrap items-center gap-2 border-b border-line bg-accent-soft px-4 py-1.5"
    >
      <span role="status" className="mr-2">
        {t(all ? "table.allSelected" : "table.selected", { count, number: counted(count) })}
      </span>
      {!all && onAll ? (
        <Button onClick={onAll}>{t("table.selectMatching", { number: counted(total) })}</Button>
      ) : null}
      {accepts ? (
        <Button look="primary" onClick={() => done({ type: "accept" })}>
          <CircleCheck aria-hidden className="size-4" />
          {t("findings.acceptChosen", { count })}
        </Button>
      ) : null}
      {state === "open" ? (
        <>
          <Button onClick={() => done({ type: "ignore" })}>
            <EyeOff aria-hidden className="size-4" />
            {t("findings.ignore")}
          </Button>
          <Button onClick={() => setAsking("kind")}>
            <Shapes aria-hidden className="size-4" />
            {t("findings.setKind")}
          </Button>
          <Button onClick={() => setAsking("tags")}>
            <TagIcon aria-hidden className="size-4" />
            {t("findings.tag")}
          </Button>
        </>
      ) : (
        <Button onClick={() => done({ type: "reopen" })}>
          <RotateCcw aria-hidden className="size-4" />
          {t("findings.reopen")}
        </Button>
      )}
      <Button look="ghost" className="max-md:ml-auto max-md:px-3" title={t("table.clear")} onClick={onClear}>
        <X aria-hidden className="size-4 md:hidden" />
        <span className="max-md:sr-only">{t("table.clear")}</span>
      </Button>
      <Dialog
        title={t("findings.setKind")}
        description={t("findings.setKindText", { count })}
        open={asking === "kind"}
        onClose={close}
      >
        <Form changed={what !== DEVICE} onSubmit={async () => done({ type: "propose", ...readWhat(what) })}>
          <KindRoleField label={t("asset.kind")} value={what} onChange={setWhat} />
          <div className="mt-4 flex gap-2">
            <Button type="submit" look="primary">
              {t("findings.setKind")}
            </Button>
            <Cancel onClick={close} />
          </div>
        </Form>
      </Dialog>
      <Dialog
        title={t("findings.tag")}
        description={t("findings.tagText")}
        open={asking === "tags"}
        onClose={close}
      >
        <Form changed={tags.length > 0} onSubmit={async () => done({ type: "tag", tags })}>
          <TagPicker autoFocus value={tags} onChange={setTags} />
          <div className="mt-4 flex gap-2">
            <Button type="submit" look="primary" disabled={tags.length === 0}>
              {t("findings.tagThem", { count })}
            </Button>
            <Cancel onClick={close} />
          </div>
        </Form>
      </Dialog>
    </div>
  );
}
