/** Takes a step of review back, and says what could not be taken back. For the review page and for the palette. */
import type { QueryClient } from "@tanstack/react-query";
import { http, take } from "#/api/client";
import type { useTranslation } from "#/i18n";
import { toast } from "#/ui/toast";

type Translate = ReturnType<typeof useTranslation>["t"];

/** Everything that a step of review changes. */
const TOUCHED = ["findings", "finding", "finding-groups", "findings-waiting", "assets", "networks"];

export function refreshAfterReview(client: QueryClient): Promise<unknown> {
  return Promise.all(TOUCHED.map((key) => client.invalidateQueries({ queryKey: [key] })));
}

export async function undoReview(client: QueryClient, review_id: string, t: Translate): Promise<void> {
  try {
    const { count, skipped } = await take(http.POST("/api/v1/findings/undo", { body: { review_id } }));
    const [first] = skipped;
    if (first)
      toast(t("findings.notUndone", { count: skipped.length, reason: first.reason }), { tone: "error" });
    else if (count === 0) toast(t("findings.nothingUndone"), { tone: "error" });
  } catch (error) {
    toast(error instanceof Error ? error.message : t("error.unknown"), { tone: "error" });
  }
  await refreshAfterReview(client);
}
