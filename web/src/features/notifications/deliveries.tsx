/** What a subscriber was sent, the newest first; it goes on by itself while somebody looks. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { DeliveryState } from "#/api/schema";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { ErrorBox, SkeletonLines } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { DeliveryRow } from "./delivery";
import { deliveriesQuery, type Subscriber } from "./queries";

const states = ["waiting", "delivered", "dead", "dropped"] as const satisfies DeliveryState[];

export function Deliveries({ subscriber, writes }: { subscriber: Subscriber; writes: boolean }) {
  const { t } = useTranslation();
  const [state, setState] = useState<DeliveryState>();
  const deliveries = useInfiniteQuery(deliveriesQuery(subscriber, state));
  const items = deliveries.data?.items;
  if (deliveries.error && !items)
    return <ErrorBox error={deliveries.error} retry={() => void deliveries.refetch()} />;
  if (!items && !state) return <SkeletonLines lines={5} />;
  if (items?.length === 0 && !state) return <p className="text-muted">{t("delivery.none")}</p>;
  return (
    <div className="flex flex-col gap-2">
      <SelectField
        label={t("delivery.filter")}
        hideLabel
        className="max-w-44"
        value={state ?? ""}
        onChange={(event) => setState(states.find((one) => one === event.target.value))}
      >
        <option value="">{t("delivery.all")}</option>
        {states.map((one) => (
          <option key={one} value={one}>
            {t(`delivery.state.${one}`)}
          </option>
        ))}
      </SelectField>
      {items ? (
        <ul className="divide-y divide-line border-y border-line empty:border-0">
          {items.map((delivery) => (
            <DeliveryRow key={delivery.id} delivery={delivery} subscriber={subscriber} writes={writes} />
          ))}
        </ul>
      ) : (
        <SkeletonLines lines={5} />
      )}
      {items?.length === 0 ? <p className="text-muted">{t("delivery.noMatch")}</p> : null}
      {deliveries.hasNextPage ? (
        <div>
          <Button busy={deliveries.isFetchingNextPage} onClick={() => void deliveries.fetchNextPage()}>
            {t("common.more")}
          </Button>
        </div>
      ) : null}
    </div>
  );
}
