import { type QueryKey, useQueryClient } from "@tanstack/react-query";
import { deleteForGood } from "#/domain/deletion";
import { useTranslation } from "#/i18n";
import { Confirm } from "#/ui/confirm";
import { toast } from "#/ui/toast";

interface Props {
  of: { id: string; name: string };
  /** The key of its list, and of it. */
  resource: QueryKey;
  text: string;
  work: () => Promise<unknown>;
  onClose: () => void;
  onDeleted: () => void;
}

export function Delete({ of: { id, name }, resource, text, work, onClose, onDeleted }: Props) {
  const { t } = useTranslation();
  const client = useQueryClient();
  return (
    <Confirm
      title={t("common.deleteOf", { name })}
      text={text}
      action={t("common.delete")}
      word={name}
      work={() =>
        deleteForGood(client, {
          id,
          one: [...resource, "one", id],
          lists: [...resource, "list"],
          work,
          onDeleted: () => {
            toast(t("common.deleted", { name }));
            onDeleted();
          },
        })
      }
      onClose={onClose}
    />
  );
}
