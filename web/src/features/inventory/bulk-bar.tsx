import { Tag as TagIcon, Trash2, X } from "lucide-react";
import { useState } from "react";
import type { Asset } from "#/api/schema";
import type { Filter } from "#/domain/filter/grammar";
import { useManyRemoval } from "#/domain/removal";
import { TagPicker } from "#/domain/tag-picker";
import { counted, useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Dialog } from "#/ui/dialog";
import { ErrorBox } from "#/ui/feedback";
import { Cancel, Form } from "#/ui/form";
import { toast } from "#/ui/toast";
import { type Chosen, deleteAssets, deleteAssetsOnLeave, useAddTags } from "./queries";

interface BulkBarProps {
  /** The selected ones that are loaded. */
  rows: readonly Asset[];
  /** All that fit the filter are selected. */
  all: boolean;
  /** How many fit. */
  total: number;
  /** Selects all that fit; there while only the loaded ones are. */
  onAll?: () => void;
  filter: Filter;
  /** Hides the whole list, or shows it again. */
  hide: (whole: boolean) => void;
  clear: () => void;
}

/** What is done to the selected assets: those that are ticked, or all that fit the filter, also those that are not loaded. */
export function BulkBar({ rows, all, total, onAll, filter, hide, clear }: BulkBarProps) {
  const { t } = useTranslation();
  const remove = useManyRemoval();
  const addTags = useAddTags();
  const [tagging, setTagging] = useState(false);
  const [picked, setPicked] = useState<string[]>([]);
  const count = all ? total : rows.length;
  const chosen: Chosen = all ? { filter, count: total } : { ids: rows.map((row) => row.id) };
  function stop(): void {
    setTagging(false);
    setPicked([]);
  }
  async function tag(): Promise<void> {
    try {
      const tagged = await addTags.mutateAsync({ chosen, tags: picked });
      stop();
      clear();
      toast(t("inventory.tagged", { count: tagged, number: counted(tagged) }));
    } catch {
      // Shown from the mutation.
    }
  }
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
      <Button onClick={() => setTagging(true)}>
        <TagIcon aria-hidden className="size-4" />
        {t("inventory.addTag")}
      </Button>
      <Button
        look="danger"
        onClick={() => {
          hide(all);
          remove({
            ids: rows.map((row) => row.id),
            text: t("inventory.deletedMany", { count, number: counted(count) }),
            resource: "assets",
            send: () => deleteAssets(chosen).finally(() => hide(false)),
            leave: () => deleteAssetsOnLeave(chosen),
            undone: () => hide(false),
            invalidate: [["assets", "list"], ["networks"], ["tags"]],
          });
          clear();
        }}
      >
        <Trash2 aria-hidden className="size-4" />
        {t("common.delete")}
      </Button>
      <Button look="ghost" className="max-md:ml-auto max-md:px-3" title={t("table.clear")} onClick={clear}>
        <X aria-hidden className="size-4 md:hidden" />
        <span className="max-md:sr-only">{t("table.clear")}</span>
      </Button>
      <Dialog title={t("inventory.addTag")} open={tagging} onClose={stop}>
        <Form changed={picked.length > 0} onSubmit={tag}>
          {addTags.error ? <ErrorBox error={addTags.error} className="mb-3" /> : null}
          <TagPicker autoFocus value={picked} onChange={setPicked} />
          <div className="mt-4 flex gap-2">
            <Button type="submit" look="primary" disabled={picked.length === 0} busy={addTags.isPending}>
              {t("inventory.addTagTo", { count, number: counted(count) })}
            </Button>
            <Cancel onClick={stop} />
          </div>
        </Form>
      </Dialog>
    </div>
  );
}
