import { describe, expect, it } from "vitest";

const sources = import.meta.glob<string>(["/src/**/*.tsx", "!/src/**/*.test.tsx"], {
  query: "?raw",
  import: "default",
  eager: true,
});
const OWNER = "/src/ui/form.tsx";
const others = Object.entries(sources).filter(([file]) => file !== OWNER);
const having = (pattern: RegExp) =>
  others
    .filter(([, source]) => pattern.test(source))
    .map(([file]) => file)
    .toSorted();

/** What is typed here nobody would miss: a secret that a password manager fills, a search, a word that confirms. */
const plain = [
  "/src/features/auth/forgot.tsx",
  "/src/features/auth/login.tsx",
  "/src/features/auth/proof.tsx",
  "/src/features/auth/second-factor.tsx",
  "/src/features/credentials/test-box.tsx",
  "/src/features/map/page.tsx",
  "/src/ui/confirm.tsx",
];

describe("every form", () => {
  it("is a `Form`, which asks before what was typed is lost, or stands on the list of plain ones", () => {
    expect(having(/<form\b/)).toEqual([]);
    expect(having(/<PlainForm\b/)).toEqual(plain);
  });
  it("of react-hook-form says whether it was changed", () => {
    const guarded = new Set(having(/<(Form|InlineForm)\b/));
    expect(having(/\buseForm[<(]/).filter((file) => !guarded.has(file))).toEqual([]);
    expect(having(/\bchanged=\{false\}/)).toEqual([]);
  });
  it("is cancelled by `Cancel`", () => {
    expect(having(/"common\.cancel"/).filter((file) => !plain.includes(file))).toEqual([]);
  });
  it("that changes something with a version saves by `useEdit`, which knows what to do when somebody else saved meanwhile", () => {
    const editing = new Set(having(/\buseEdit\(/));
    expect(
      having(/\bifMatch\(/).filter((file) => /\buseForm[<(]/.test(sources[file] ?? "") && !editing.has(file)),
    ).toEqual([]);
    expect(having(/\b412\b/)).toEqual([]);
  });
  it("begins anew by `FromVersion` only, which keeps what was typed", () => {
    expect(having(/\bkey=\{[^}]*\bversion\b/)).toEqual(["/src/ui/guard.tsx"]);
  });
});

describe("every field", () => {
  /** Fields that are part of another file's form, or that keep nothing. */
  const parts = [
    "/src/domain/kind-inputs.tsx",
    "/src/domain/new-password.tsx",
    "/src/domain/password-field.tsx",
    "/src/features/audit/page.tsx",
    "/src/features/discovery/kind-role.tsx",
    "/src/features/inventory/role-field.tsx",
    "/src/features/notifications/deliveries.tsx",
    "/src/features/notifications/events-field.tsx",
    "/src/features/providers/role-groups.tsx",
    "/src/features/users/user-panel.tsx",
    "/src/features/account/codes.tsx",
    "/src/ui/field.tsx",
  ];
  it("stands in a form or says itself that it was changed", () => {
    const fields = having(/<(TextField|TextArea|SelectField|Checkbox|PasswordField|NewPasswordField)\b/);
    const guarded = new Set(having(/<(Form|InlineForm|PlainForm)\b|\buseUnsaved\(|\buseLeave\(/));
    expect(fields.filter((file) => !guarded.has(file) && !parts.includes(file))).toEqual([]);
    expect(parts.filter((file) => !(file in sources))).toEqual([]);
  });
});
