/** How the servers run: what is degraded, who works on the database, and what they do by themselves. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowLeft } from "lucide-react";
import { useEffect, useRef } from "react";
import { useLive } from "#/api/hooks";
import { operationsKey, operationsQuery } from "#/api/queries";
import { useStorageTrouble } from "#/api/storage";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/operations.json";
import { buttonClass } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { Block, Blocks, PageHead } from "#/ui/page";
import { AsOf, useStale } from "./as-of";
import { Connections } from "./connections";
import { DeadLetters } from "./dead-letters";
import { DegradedList } from "./degraded";
import { Periodic } from "./periodic";
import { Servers } from "./servers";

addWords(words);

export function OperationsPage() {
  const { t } = useTranslation();
  const read = useQuery(operationsQuery);
  const { data, error, refetch } = read;
  const stale = useStale(read);
  const known = useStorageTrouble();
  const trouble = known !== null;
  useReadAgain(known ? `${known.state} ${known.text}` : null);
  return (
    <>
      <PageHead title={t("operations.title")}>
        <Link to="/settings" className={buttonClass("ghost")}>
          <ArrowLeft aria-hidden className="size-4" />
          {t("pages.settings")}
        </Link>
      </PageHead>
      <Blocks label={t("operations.title")}>
        <Block title={t("operations.degraded")} text={t("operations.degradedText")}>
          {data ? (
            <DegradedList items={data.degraded} stale={stale} trouble={trouble} />
          ) : error ? (
            <ErrorBox error={error} retry={() => void refetch()} />
          ) : (
            <SkeletonLines lines={1} />
          )}
        </Block>
        <DeadLetters />
        <Block title={t("operations.servers")} text={t("operations.serversText")}>
          <AsOf read={read} />
          {data ? <Servers operations={data} /> : error ? null : <SkeletonLines lines={3} />}
        </Block>
        <Block title={t("operations.connections")} text={t("operations.connectionsText")}>
          <AsOf read={read} />
          {data ? (
            <Connections database={data.database} fabric={data.fabric} trouble={trouble} />
          ) : error ? null : (
            <SkeletonLines lines={3} />
          )}
        </Block>
        <Periodic />
      </Blocks>
    </>
  );
}

/** Reads the whole page again as soon as `known`, what the client knows about the database, is something else. */
function useReadAgain(known: string | null) {
  const client = useQueryClient();
  const before = useRef(known);
  useEffect(() => {
    if (before.current === known) return;
    before.current = known;
    void client.invalidateQueries({ queryKey: operationsKey });
  }, [client, known]);
  useLive("discovery", ({ type }) => {
    if (type === "resync") void client.invalidateQueries({ queryKey: operationsKey });
  });
}
