import { expect, it } from "vitest";
import type { AuditEntry } from "#/api/schema";
import { addWords, say as t } from "#/i18n";
import words from "#/i18n/en/audit.json";
import { actions, actorSearch, batches, sentence } from "./sentence";

addWords(words);

const entry = (more: Partial<AuditEntry> = {}): AuditEntry => ({
  seq: 1,
  at: "2026-01-01T10:00:00Z",
  actor: { kind: "user", id: "u1", name: "ada" },
  action: "asset_deleted",
  entity_kind: "asset",
  entity_id: "a1",
  entity_name: "nas",
  detail: {},
  request_id: null,
  address: null,
  agent: null,
  hash: "",
  prev_hash: "",
  ...more,
});
const say = (...entries: AuditEntry[]) => sentence(entries, t);
const system = (name: string) => ({ kind: "system" as const, id: null, name });

it("names who did what to what", () => {
  expect(say(entry())).toBe("ada deleted the asset nas");
  expect(say(entry({ entity_name: null }))).toBe("ada deleted the asset");
  expect(say(entry(), entry({ entity_name: "printer" }))).toBe("ada deleted 2 assets");
});

it("counts what one entry did to many", () => {
  const accepted = Array.from({ length: 1_058 }, () => ({}));
  expect(say(entry({ action: "findings_accepted", detail: { accepted } }))).toBe(
    "ada accepted 1,058 findings",
  );
  expect(say(entry({ action: "map_placed", detail: { placed: 3 } }))).toBe("ada moved 3 assets on the map");
});

it("does not say that a user guessed at their own password", () => {
  const at = { entity_kind: "user", entity_name: "ada", actor: system("sign-in (ada)") };
  expect(say(entry({ action: "login", ...at }))).toBe("ada signed in");
  expect(say(entry({ action: "login_failed", ...at, detail: { count: 12 } }))).toBe(
    "Someone failed to sign in as ada 12 times",
  );
  expect(say(entry({ action: "login_failed", ...at, entity_kind: null, entity_name: null }))).toBe(
    "Someone failed to sign in",
  );
});

it("says what an actor is that is no person", () => {
  const hook = entry({ action: "hook_received", actor: system("hook (alerts)") });
  expect(say(hook)).toBe("The incoming hook alerts received a message");
  expect(say(entry({ actor: system("scanner") }))).toBe("The scanner deleted the asset nas");
});

it("leaves no gap and no bracket in any sentence", () => {
  for (const action of actions) {
    for (const name of ["nas", null]) {
      for (const many of [1, 2]) {
        const text = say(...Array.from({ length: many }, () => entry({ action, entity_name: name })));
        expect(text, action).not.toMatch(/[[\]{}]| {2}|^[a-z]+ *$| (of|for|to|as)$/);
        expect(text.length, action).toBeGreaterThan(12);
      }
    }
  }
});

it("finds one who signs in by the name of the user", () => {
  const signIn = {
    action: "login" as const,
    actor: system("sign-in (ada)"),
    entity_kind: "user",
    entity_name: "ada",
  };
  expect(actorSearch(entry(signIn), t)).toBe("ada");
  expect(actorSearch(entry(), t)).toBe("ada");
  expect(actorSearch(entry({ actor: system("scanner") }), t)).toBe("scanner");
});

it("says a word of another version as it is", () => {
  expect(say(entry({ action: "asset_painted" as AuditEntry["action"] }))).toContain("asset_painted");
});

it("tells alike entries that follow each other together", () => {
  const rows = [
    entry({ seq: 9 }),
    entry({ seq: 8, at: "2026-01-01T09:55:00Z" }),
    entry({ seq: 7, at: "2026-01-01T09:00:00Z" }),
    entry({ seq: 6, at: "2026-01-01T09:00:00Z", actor: { kind: "user", id: "u2", name: "grace" } }),
    entry({ seq: 5, at: "2026-01-01T09:00:00Z", actor: { kind: "user", id: "u2", name: "grace" } }),
    entry({ seq: 4, at: "2026-01-01T09:00:00Z", action: "asset_created" }),
  ];
  expect(batches(rows).map((batch) => batch.entries.map((one) => one.seq))).toEqual([
    [9, 8],
    [7],
    [6, 5],
    [4],
  ]);
});

it("tells together what one person did in turns, and never past what somebody else did", () => {
  const turn = (seq: number, action: AuditEntry["action"], name = "ada") =>
    entry({ seq, action, actor: { kind: "user", id: name, name } });
  const rows = [
    turn(9, "asset_created"),
    turn(8, "address_created"),
    turn(7, "asset_created"),
    turn(6, "network_created", "bob"),
    turn(5, "address_created"),
    turn(4, "asset_created"),
    turn(3, "address_created"),
  ];
  expect(batches(rows).map((batch) => batch.entries.map((one) => one.seq))).toEqual([
    [9, 7],
    [8],
    [6],
    [5, 3],
    [4],
  ]);
  const many = Array.from({ length: 250 }, (_, at) => turn(1000 - at, "asset_created"));
  expect(batches(many).map((batch) => batch.entries.length)).toEqual([100, 100, 50]);
});

it("says twice, names the only finding of a review, and the exceptions of a server", () => {
  const signIn = entry({ action: "login", entity_kind: "user", entity_name: "ada" });
  expect(say(signIn, signIn)).toBe("ada signed in twice");
  expect(say(signIn, signIn, signIn)).toBe("ada signed in 3 times");
  const undone = { action: "findings_review_undone" as const, entity_name: null };
  expect(say(entry({ ...undone, detail: { count: 1, findings: [{ title: "tv" }] } }))).toBe(
    "ada undid the review of 1 finding: tv",
  );
  expect(say(entry({ ...undone, detail: { count: 2, findings: [{ title: "tv" }, { title: "nas" }] } }))).toBe(
    "ada undid the review of 2 findings",
  );
  const started = { action: "outbound_exceptions_set" as const, actor: system("server"), entity_name: null };
  expect(
    say(entry({ ...started, detail: { outbound_allow: ["127.0.0.1"], scan_allow: ["8.8.8.0/24"] } })),
  ).toBe("The server started with new exceptions for outbound connections: 127.0.0.1, 8.8.8.0/24");
  expect(say(entry({ ...started, detail: { outbound_allow: [], scan_allow: [] } }))).toBe(
    "The server started without exceptions for outbound connections",
  );
});

it("tells the setup and its first user as one event", () => {
  const actor = system("setup (anna)");
  const user = { entity_kind: "user", entity_name: "anna" };
  const rows = [
    entry({ action: "setup_completed", actor, ...user }),
    entry({
      action: "user_created",
      actor,
      ...user,
      detail: { username: "anna", role: "admin", setup: true },
    }),
    entry({ action: "user_created", actor: { kind: "user", id: "u1", name: "anna" }, entity_name: "ben" }),
  ];
  const [first, second] = batches(rows);
  expect(say(...(first?.entries ?? []))).toBe("anna completed the setup and became the first administrator");
  expect(say(...(second?.entries ?? []))).toBe("anna created the user ben");
});

it("says what came of a scan", () => {
  const scan = { entity_kind: "scan", entity_name: "10.0.0.0/24", actor: system("scanner") };
  const ended = (detail: Record<string, unknown>) => say(entry({ action: "scan_finished", ...scan, detail }));
  expect(ended({ status: "completed", findings_new: 47 })).toBe(
    "The scan of 10.0.0.0/24 ended with 47 new findings",
  );
  expect(ended({ status: "completed", findings_new: 1 })).toBe(
    "The scan of 10.0.0.0/24 ended with 1 new finding",
  );
  expect(ended({ status: "completed", findings_new: 0 })).toBe(
    "The scan of 10.0.0.0/24 ended without new findings",
  );
  expect(ended({ status: "cancelled", findings_new: 0 })).toBe("The scan of 10.0.0.0/24 ended");
  const found = (found: string[], updated = 0) =>
    entry({ action: "findings_recorded", ...scan, detail: { new: found, updated, learned: 3 } });
  expect(say(found(["nas", "tv"]), found([], 1))).toBe(
    "The scanner recorded 2 new findings in 10.0.0.0/24 and added details to 1 known finding",
  );
  expect(say(found([]))).toBe("The scanner added details to known devices in 10.0.0.0/24");
});

it("says what was renamed", () => {
  const renamed = { name: { from: "nas", to: "NAS-1" } };
  const changed = (detail: Record<string, unknown>) =>
    say(entry({ action: "asset_updated", entity_name: "NAS-1", detail }));
  expect(changed(renamed)).toBe("ada renamed nas to NAS-1");
  expect(changed({ ...renamed, notes: { from: "", to: "x" } })).toBe("ada changed the asset NAS-1");
  expect(changed({ notes: { from: "a", to: "b" } })).toBe("ada changed the asset NAS-1");
});

it("tells an accepted invite and its user as one event", () => {
  const sam = { actor: system("sign-in (sam)"), entity_kind: "user", entity_name: "sam" };
  const created = entry({ action: "user_created", ...sam, detail: { username: "sam", invited_by: "ada" } });
  const accepted = entry({ action: "invite_accepted", ...sam, detail: { invited_by: "ada" } });
  expect(batches([accepted, created])).toHaveLength(1);
  expect(say(accepted, created)).toBe("sam accepted an invite and became a user");
  expect(say(created)).toBe("sam accepted an invite and became a user");
  expect(say(entry({ action: "user_created", ...sam }))).toBe("sam became a user with the first sign-in");
  expect(say(entry({ action: "user_created", entity_name: "sam" }))).toBe("ada created the user sam");
  expect(say(entry({ action: "invite_made" }), entry({ action: "invite_made" }))).toBe(
    "ada created 2 invites",
  );
});

it("says that a test failed, apart from those that did not", () => {
  const tested = (action: AuditEntry["action"], detail: object) =>
    entry({ action, entity_name: "Mail", detail: { ...detail } });
  expect(say(tested("channel_tested", { delivered: true }))).toBe("ada tested the channel Mail");
  const failed = tested("channel_tested", { delivered: false });
  expect(say(failed)).toBe("ada tested the channel Mail: not delivered");
  expect(say(tested("credential_tested", { ok: false }))).toMatch(/Mail: the test failed$/);
  expect(batches([failed, tested("channel_tested", { delivered: true })])).toHaveLength(2);
});

it("counts only new findings as new", () => {
  const detail = { new: [], updated: 2, learned: 0 };
  const updated = entry({ action: "findings_recorded", actor: system("scanner"), entity_name: null, detail });
  expect(say(updated)).toBe("The scanner added details to 2 known findings");
});
