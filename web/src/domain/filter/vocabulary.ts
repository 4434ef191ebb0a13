/** What the filter language knows of this installation. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { networksQuery, tagsQuery } from "#/api/queries";
import { assetKinds, assetStatuses, roleName } from "#/domain/asset";
import { knownRoles } from "#/domain/icons";
import { useTranslation } from "#/i18n";
import type { Vocabulary } from "./grammar";

type Translate = ReturnType<typeof useTranslation>["t"];

/** What is the same everywhere. */
export function commonWords(t: Translate): Pick<Vocabulary, "kinds" | "statuses" | "roles"> {
  return {
    kinds: assetKinds.map((word) => ({ word, label: t(`kind.${word}`) })),
    statuses: assetStatuses.map((word) => ({ word, label: t(`status.${word}`) })),
    roles: knownRoles.map((word) => ({ word, label: roleName(word) })),
  };
}

export function useVocabulary(): Vocabulary {
  const { t } = useTranslation();
  const tags = useQuery(tagsQuery).data;
  const networks = useQuery(networksQuery).data;
  return useMemo(
    () => ({ ...commonWords(t), tags: tags?.map((tag) => tag.name), networks }),
    [t, tags, networks],
  );
}
