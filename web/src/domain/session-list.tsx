/** Sessions as a person recognises them: the device, from where, when. */

import { Laptop, Smartphone, Terminal } from "lucide-react";
import type { ReactNode } from "react";
import type { OpenSession } from "#/api/schema";
import { addWords, useTranslation } from "#/i18n";
import words from "#/i18n/en/session.json";
import { Badge } from "#/ui/feedback";
import { Time } from "#/ui/time";
import { deviceOf } from "./user-agent";

addWords(words);

const icons = { phone: Smartphone, desk: Laptop, program: Terminal };

export function SessionList({
  sessions,
  action,
}: {
  sessions: readonly OpenSession[];
  action?: (session: OpenSession, device: string) => ReactNode;
}) {
  const { t } = useTranslation();
  return (
    <ul className="divide-y divide-line border-y border-line">
      {sessions.map((session) => {
        const { client, system, kind } = deviceOf(session.user_agent);
        const Icon = icons[kind];
        const device =
          client && system
            ? t("session.on", { client, system })
            : (client ?? system ?? t("session.unknownDevice"));
        return (
          <li key={session.id} className="flex min-h-13 items-center gap-3 py-2">
            <Icon aria-hidden className="size-5 shrink-0 text-muted" strokeWidth={1.5} />
            <div className="min-w-0 flex-1">
              <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
                <span className="font-medium" title={session.user_agent}>
                  {device}
                </span>
                {session.current ? <Badge tone="accent">{t("session.current")}</Badge> : null}
              </p>
              <p className="flex flex-wrap gap-x-3 text-xs text-muted">
                <span className="mono">{session.ip}</span>
                <span>
                  {t("session.seen")} <Time at={session.last_seen_at} />
                </span>
                <span>
                  {t("session.begun")} <Time at={session.created_at} />
                </span>
              </p>
            </div>
            {action?.(session, device)}
          </li>
        );
      })}
    </ul>
  );
}
