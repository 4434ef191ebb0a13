import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { http, take } from "#/api/client";
import type { LinkOut, Role, User } from "#/api/schema";
import { useAuth } from "#/api/session";
import { deleteForGood } from "#/domain/deletion";
import { Gone, isGone } from "#/domain/gone";
import { roles } from "#/domain/roles";
import { SessionList } from "#/domain/session-list";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { Confirm } from "#/ui/confirm";
import { Dialog } from "#/ui/dialog";
import { Badge, ErrorBox, SkeletonLines } from "#/ui/feedback";
import { SelectField } from "#/ui/field";
import { Panel, Section } from "#/ui/panel";
import { Time } from "#/ui/time";
import { toast } from "#/ui/toast";
import { OneTimeLink } from "./one-time-link";
import { userQuery, userSessionsQuery, usersKey } from "./queries";

export function UserPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation();
  const { can, me } = useAuth();
  const user = useQuery(userQuery(id));
  const writes = can("users:write");
  if (isGone(user)) return <Gone kind="user" id={id} name={user.data?.username} onClose={onClose} />;
  return (
    <Panel
      title={user.data?.username ?? t("users.one")}
      subtitle={user.data ? (user.data.email ?? t(`roles.${user.data.role}`)) : undefined}
      onClose={onClose}
    >
      {user.error ? (
        <ErrorBox error={user.error} retry={() => void user.refetch()} />
      ) : user.data ? (
        <>
          <Facts user={user.data} own={user.data.id === me.user.id} />
          {writes ? <Manage user={user.data} onDeleted={onClose} /> : null}
          <UserSessions id={id} name={user.data.username} writes={writes} />
        </>
      ) : (
        <SkeletonLines lines={5} />
      )}
    </Panel>
  );
}

function Facts({ user, own }: { user: User; own: boolean }) {
  const { t } = useTranslation();
  return (
    <>
      {own ? <p className="mb-3 text-muted">{t("users.isYou")}</p> : null}
      <dl className="grid grid-cols-[8rem_1fr] items-center gap-x-3 gap-y-1.5 [&>dt]:text-muted">
        <dt>{t("users.role")}</dt>
        <dd>{t(`roles.${user.role}`)}</dd>
        <dt>{t("users.status")}</dt>
        <dd>{user.disabled ? <Badge tone="down">{t("users.disabled")}</Badge> : t("users.active")}</dd>
        <dt>{t("users.secondFactor")}</dt>
        <dd>{user.second_factor ? <Badge tone="up">{t("users.on")}</Badge> : t("users.off")}</dd>
        {user.passkeys ? (
          <>
            <dt>{t("users.passkeys")}</dt>
            <dd>{user.passkeys}</dd>
          </>
        ) : null}
        {user.has_password === false ? (
          <>
            <dt>{t("auth.password")}</dt>
            <dd>{t("users.noPassword")}</dd>
          </>
        ) : null}
        <dt>{t("users.lastLogin")}</dt>
        <dd>
          <Time at={user.last_login_at} />
        </dd>
        <dt>{t("users.created")}</dt>
        <dd>
          <Time at={user.created_at} />
        </dd>
      </dl>
    </>
  );
}

type Question = "role" | "disable" | "secondFactor" | "delete";

/** What an administrator can do to a user. What ends something asks first, and says what it ends. */
function Manage({ user, onDeleted }: { user: User; onDeleted: () => void }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const [question, setQuestion] = useState<Question | null>(null);
  const [role, setRole] = useState<Role>(user.role);
  const [link, setLink] = useState<LinkOut | null>(null);
  const path = { path: { id: user.id } };
  const name = user.username;
  const refresh = () => client.invalidateQueries({ queryKey: usersKey });
  const close = () => {
    setQuestion(null);
    setRole(user.role);
  };

  const enable = useMutation({
    mutationFn: () => take(http.PATCH("/api/v1/users/{id}", { params: path, body: { disabled: false } })),
    onSuccess: () => void toast(t("users.enabledOne", { name })),
    onSettled: refresh,
  });
  const resetLink = useMutation({
    mutationFn: () => take(http.POST("/api/v1/users/{id}/reset-link", { params: path })),
    onSuccess: setLink,
    gcTime: 0,
  });
  const resetMail = useMutation({
    mutationFn: () => take(http.POST("/api/v1/users/{id}/reset-mail", { params: path })),
    onSuccess: ({ to, sent, error }) =>
      void toast(
        sent ? t("users.resetMailed", { to }) : t("users.resetNotMailed", { to, error: error ?? "" }),
        {
          ms: 10_000,
        },
      ),
  });
  const error = enable.error ?? resetLink.error ?? resetMail.error;

  return (
    <Section title={t("users.manage")}>
      {error ? <ErrorBox error={error} className="mb-3" /> : null}
      <SelectField
        label={t("users.role")}
        help={t(`roleText.${role}`)}
        value={role}
        onChange={(event) => {
          const next = roles.find((one) => one === event.target.value);
          if (!next || next === user.role) return;
          setRole(next);
          setQuestion("role");
        }}
      >
        {roles.map((one) => (
          <option key={one} value={one}>
            {t(`roles.${one}`)}
          </option>
        ))}
      </SelectField>
      <div className="mt-3 flex flex-wrap gap-2 empty:hidden">
        {user.disabled ? null : (
          <>
            <Button busy={resetLink.isPending} onClick={() => resetLink.mutate()}>
              {t("users.resetLink")}
            </Button>
            {user.email ? (
              <Button busy={resetMail.isPending} onClick={() => resetMail.mutate()}>
                {t("users.resetMail")}
              </Button>
            ) : null}
          </>
        )}
        {user.second_factor ? (
          <Button onClick={() => setQuestion("secondFactor")}>{t("users.clearFactor")}</Button>
        ) : null}
      </div>
      <div className="mt-4 flex flex-wrap gap-2 border-t border-line pt-4">
        {user.disabled ? (
          <Button busy={enable.isPending} onClick={() => enable.mutate()}>
            {t("users.enable")}
          </Button>
        ) : (
          <Button onClick={() => setQuestion("disable")}>{t("users.disable")}</Button>
        )}
        <Button look="danger" onClick={() => setQuestion("delete")}>
          {t("common.delete")}
        </Button>
      </div>
      {link ? (
        <Dialog title={t("users.resetLink")} open onClose={() => setLink(null)}>
          <OneTimeLink label={t("users.resetLinkOf", { name })} text={t("users.resetText")} link={link} />
          <Button look="primary" className="mt-4" onClick={() => setLink(null)}>
            {t("secret.done")}
          </Button>
        </Dialog>
      ) : null}
      {question === "role" ? (
        <Confirm
          title={t("users.roleOf", { name, role: t(`roles.${role}`) })}
          text={t("users.roleText")}
          action={t("users.changeRole")}
          work={async () => {
            await take(http.PATCH("/api/v1/users/{id}", { params: path, body: { role } }));
            toast(t("users.roleChanged", { name, role: t(`roles.${role}`) }));
            await refresh();
          }}
          onClose={close}
        />
      ) : null}
      {question === "disable" ? (
        <Confirm
          title={t("users.disableOf", { name })}
          text={t("users.disableText")}
          action={t("users.disable")}
          work={async () => {
            await take(http.PATCH("/api/v1/users/{id}", { params: path, body: { disabled: true } }));
            toast(t("users.disabledOne", { name }));
            await refresh();
          }}
          onClose={close}
        />
      ) : null}
      {question === "secondFactor" ? (
        <Confirm
          title={t("users.clearFactorOf", { name })}
          text={t("users.clearFactorText")}
          action={t("users.clearFactor")}
          work={async () => {
            await take(http.DELETE("/api/v1/users/{id}/second-factor", { params: path }));
            toast(t("users.factorCleared", { name }));
            await refresh();
          }}
          onClose={close}
        />
      ) : null}
      {question === "delete" ? (
        <Confirm
          title={t("common.deleteOf", { name })}
          text={t("users.deleteText")}
          action={t("common.delete")}
          word={name}
          work={() =>
            deleteForGood(client, {
              id: user.id,
              one: userQuery(user.id).queryKey,
              lists: [...usersKey, "list"],
              work: () => http.DELETE("/api/v1/users/{id}", { params: path }),
              onDeleted: () => {
                toast(t("common.deleted", { name }));
                onDeleted();
              },
            })
          }
          onClose={close}
        />
      ) : null}
    </Section>
  );
}

function UserSessions({ id, name, writes }: { id: string; name: string; writes: boolean }) {
  const { t } = useTranslation();
  const client = useQueryClient();
  const sessions = useQuery(userSessionsQuery(id));
  const end = useMutation({
    mutationFn: () => http.DELETE("/api/v1/users/{id}/sessions", { params: { path: { id } } }),
    onSuccess: () => void toast(t("users.sessionsEnded", { name })),
    onSettled: () => client.invalidateQueries({ queryKey: userSessionsQuery(id).queryKey }),
  });
  return (
    <Section
      title={t("session.title")}
      action={
        writes && sessions.data && sessions.data.length > 0 ? (
          <Button className="h-7" busy={end.isPending} onClick={() => end.mutate()}>
            {t("users.endSessions")}
          </Button>
        ) : null
      }
    >
      {end.error ? <ErrorBox error={end.error} className="mb-3" /> : null}
      {sessions.error ? (
        <ErrorBox error={sessions.error} retry={() => void sessions.refetch()} />
      ) : !sessions.data ? (
        <SkeletonLines lines={2} />
      ) : sessions.data.length === 0 ? (
        <p className="text-muted">{t("users.noSessions")}</p>
      ) : (
        <SessionList sessions={sessions.data} />
      )}
    </Section>
  );
}
