/** What the filter language knows of this installation. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { networksQuery, tagsQuery } from "#/api/queries";
import { assetKinds, assetStatuses, roleName } from "#/domain/asset";
import { knownRoles } from "#/domain/icons";
import { useTranslation } from "#/i18n";
import type { Vocabulary } from "./grammar";

export function useVocabulary(): Vocabulary {
  const { t } = useTranslation();
  const tags = useQuery(tagsQuery).data;
  const networks = useQuery(networksQuery).data;
  return useMemo(
    () => ({
      kinds: assetKinds.map((word) => ({ word, label: t(`kind.${word}`) })),
      statuses: assetStatuses.map((word) => ({ word, label: t(`status.${word}`) })),
      roles: knownRoles.map((word) => ({ word, label: roleName(word) })),
      tags: tags?.map((tag) => tag.name),
      networks,
    }),
    [t, tags, networks],
  );
}
