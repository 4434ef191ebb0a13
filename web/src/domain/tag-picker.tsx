import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Plus } from "lucide-react";
import { useState } from "react";
import { http, take } from "#/api/client";
import { tagsQuery } from "#/api/queries";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox } from "#/ui/feedback";
import { Checkbox, TextField } from "#/ui/field";
import { useUnsaved } from "#/ui/guard";
import { TagChip } from "./asset";
import { nextTagColor } from "./tag-colors";

/** Choose tags, or make a new one without leaving. */
export function TagPicker({
  value,
  onChange,
  autoFocus,
}: {
  value: readonly string[];
  onChange: (ids: string[]) => void;
  /** Where one is there for nothing else. */
  autoFocus?: boolean;
}) {
  const { t } = useTranslation();
  const tags = useQuery(tagsQuery);
  const create = useCreateTag();
  const [name, setName] = useState("");
  const wanted = name.trim();
  useUnsaved(wanted !== "");
  const exists = tags.data?.some((tag) => tag.name.toLowerCase() === wanted.toLowerCase());

  function add(): void {
    if (!wanted) return;
    const existing = tags.data?.find((tag) => tag.name.toLowerCase() === wanted.toLowerCase());
    if (existing) {
      if (!value.includes(existing.id)) onChange([...value, existing.id]);
      setName("");
      return;
    }
    create.mutate(
      { name: wanted, color: nextTagColor(tags.data ?? []) },
      {
        onSuccess: (tag) => {
          onChange([...value, tag.id]);
          setName("");
        },
      },
    );
  }

  return (
    <fieldset className="flex flex-col gap-2">
      <legend className="mb-1 text-xs font-medium text-muted">{t("asset.tags")}</legend>
      {tags.error ? <ErrorBox error={tags.error} retry={() => void tags.refetch()} /> : null}
      <div className="flex max-h-40 flex-wrap gap-x-4 gap-y-1.5 overflow-y-auto">
        {tags.data?.map((tag) => (
          <Checkbox
            key={tag.id}
            label={<TagChip tag={tag} />}
            checked={value.includes(tag.id)}
            onChange={(event) =>
              onChange(event.target.checked ? [...value, tag.id] : value.filter((id) => id !== tag.id))
            }
          />
        ))}
      </div>
      <div className="flex items-end gap-2">
        <TextField
          label={t("tags.new")}
          hideLabel
          placeholder={t("tags.new")}
          maxLength={64}
          autoFocus={autoFocus}
          className="flex-1"
          value={name}
          error={create.error?.message}
          onChange={(event) => {
            setName(event.target.value);
            create.reset();
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            add();
          }}
        />
        <Button disabled={!wanted} busy={create.isPending} onClick={add} className="self-start">
          <Plus aria-hidden className="size-4" />
          {exists ? t("tags.choose") : t("tags.create")}
        </Button>
      </div>
    </fieldset>
  );
}

function useCreateTag() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: { name: string; color: string }) => take(http.POST("/api/v1/tags", { body })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["tags"] }),
  });
}
