import {
  createMemoryHistory,
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  Outlet,
  RouterProvider,
} from "@tanstack/react-router";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { useState } from "react";
import { useForm } from "react-hook-form";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Confirm } from "./confirm";
import { Dialog } from "./dialog";
import { TextField } from "./field";
import { Cancel, Form } from "./form";
import { answer, FromVersion, hasUnsaved, keepsForms } from "./guard";
import { Guard } from "./guard-question";
import { Panel } from "./panel";

const save = vi.fn(async (_name: string) => {});

function NameForm({
  name = "",
  onClose,
  onSaved,
}: {
  name?: string;
  onClose: () => void;
  onSaved: () => void;
}) {
  const form = useForm({ defaultValues: { name } });
  return (
    <Form
      changed={form.formState.isDirty}
      onSubmit={form.handleSubmit(async (values) => {
        await save(values.name);
        onSaved();
      })}
    >
      <TextField label="Name" {...form.register("name")} />
      <button type="submit">Save</button>
      <Cancel onClick={onClose} />
    </Form>
  );
}

function InPanel() {
  const [open, setOpen] = useState(true);
  const [deleting, setDeleting] = useState(false);
  const close = () => setOpen(false);
  if (!open) return <p>closed</p>;
  return (
    <Panel title="One" onClose={close}>
      <NameForm onClose={close} onSaved={close} />
      <button type="button" onClick={() => setDeleting(true)}>
        Delete
      </button>
      {deleting ? (
        <Confirm
          title="Delete it"
          text="It goes."
          action="Yes"
          work={async () => close()}
          onClose={() => setDeleting(false)}
        />
      ) : null}
    </Panel>
  );
}

function InDialog() {
  const [open, setOpen] = useState(true);
  return (
    <Dialog title="New" open={open} onClose={() => setOpen(false)}>
      <NameForm onClose={() => setOpen(false)} onSaved={() => setOpen(false)} />
    </Dialog>
  );
}

let change = (_next: { version: number; name: string }) => {};
function Versioned() {
  const [one, setOne] = useState({ version: 1, name: "first" });
  change = setOne;
  return (
    <FromVersion of={one}>
      {(held) => <NameForm name={held.name} onClose={() => {}} onSaved={() => {}} />}
    </FromVersion>
  );
}

function StaysOpen() {
  const [one, setOne] = useState({ version: 1, name: "first" });
  change = setOne;
  return (
    <FromVersion of={one}>
      {(held, saved) => (
        <SettingForm
          name={held.name}
          onSaved={(name) => {
            const answer = { version: held.version + 1, name: `${name}!` };
            saved(answer);
            // The page hears of it later, as a query's readers do.
            setTimeout(() => act(() => setOne(answer)), 0);
          }}
        />
      )}
    </FromVersion>
  );
}

function SettingForm({ name, onSaved }: { name: string; onSaved: (name: string) => void }) {
  const form = useForm({ defaultValues: { name } });
  return (
    <Form
      changed={form.formState.isDirty}
      onSubmit={form.handleSubmit(async (values) => {
        await save(values.name);
        onSaved(values.name);
      })}
    >
      <TextField label="Name" {...form.register("name")} />
      <button type="submit">Save</button>
    </Form>
  );
}

function page(content: () => React.ReactNode, start = "/a") {
  const root = createRootRoute({
    staticData: { needs: null },
    component: () => (
      <>
        <Link to={"/b" as "/"}>away</Link>
        <Link to={"/a" as "/"} search={{ q: "x" } as never}>
          filter
        </Link>
        <Outlet />
        <Guard />
      </>
    ),
  });
  const a = createRoute({
    getParentRoute: () => root,
    path: "/a",
    staticData: { needs: null },
    component: content,
  });
  const b = createRoute({
    getParentRoute: () => root,
    path: "/b",
    staticData: { needs: null },
    component: () => <p>page b</p>,
  });
  const history = createMemoryHistory({ initialEntries: ["/b", start], initialIndex: 1 });
  const router = createRouter({ routeTree: root.addChildren([a, b]), history });
  // biome-ignore lint/suspicious/noExplicitAny: the registered router is the product's
  render(<RouterProvider router={router as any} />);
  return router;
}
const type = async (text: string) =>
  fireEvent.input(await screen.findByLabelText("Name"), { target: { value: text } });
const click = (name: string) => fireEvent.click(screen.getByRole("button", { name }));
const question = () => screen.queryByRole("dialog", { name: "Discard your changes?" });
const asked = () => waitFor(() => expect(question()).not.toBeNull());
const notAsked = () => waitFor(() => expect(question()).toBeNull());

beforeEach(() => {
  vi.stubGlobal("scrollTo", () => {});
  save.mockClear();
  save.mockImplementation(async () => {});
});
afterEach(() => {
  answer(false);
  cleanup();
  vi.unstubAllGlobals();
});

describe("a form with changes", () => {
  const ways: [string, () => void][] = [
    ["Escape", () => fireEvent.keyDown(document, { key: "Escape" })],
    ["the cross", () => click("Close")],
    ["Cancel", () => click("Cancel")],
  ];
  it.each(ways)("asks before %s closes it, and closes when the answer is to discard", async (_way, close) => {
    page(() => <InPanel />);
    await type("typed");
    close();
    await asked();
    click("Keep editing");
    await notAsked();
    expect(screen.getByLabelText<HTMLInputElement>("Name").value).toBe("typed");
    close();
    await asked();
    click("Discard changes");
    await screen.findByText("closed");
  });

  it.each(ways)(
    "asks nothing before %s when nothing was changed, or it was changed back",
    async (_way, close) => {
      page(() => <InPanel />);
      await type("typed");
      await type("");
      close();
      await screen.findByText("closed");
      expect(question()).toBeNull();
    },
  );

  it("gives the focus back to the field when it goes on", async () => {
    page(() => <InPanel />);
    const field = await screen.findByLabelText("Name");
    field.focus();
    await type("typed");
    fireEvent.keyDown(field, { key: "Escape", bubbles: true });
    await asked();
    expect(document.activeElement?.textContent).toBe("Keep editing");
    click("Keep editing");
    await waitFor(() => expect(document.activeElement).toBe(field));
  });

  it("asks before another page", async () => {
    const router = page(() => <InPanel />);
    await type("typed");
    fireEvent.click(screen.getByText("away"));
    await asked();
    click("Keep editing");
    await notAsked();
    expect(router.state.location.pathname).toBe("/a");
    fireEvent.click(screen.getByText("away"));
    await asked();
    click("Discard changes");
    await screen.findByText("page b");
  });

  it("asks nothing when only the list beside it changes", async () => {
    const router = page(() => <InPanel />);
    await type("typed");
    fireEvent.click(screen.getByText("filter"));
    await waitFor(() => expect(router.state.location.searchStr).toBe("?q=x"));
    expect(question()).toBeNull();
    expect(screen.getByLabelText<HTMLInputElement>("Name").value).toBe("typed");
  });

  it("keeps the tab open, and lets it go once nothing would be lost", async () => {
    page(() => <InPanel />);
    await screen.findByLabelText("Name");
    const ends = () => !dispatchEvent(new Event("beforeunload", { cancelable: true }));
    expect(ends()).toBe(false);
    await type("typed");
    await waitFor(() => expect(ends()).toBe(true));
    await type("");
    await waitFor(() => expect(ends()).toBe(false));
  });

  it("asks nothing once it is saved, although saving closes it and leads away", async () => {
    const router = page(() => <NameForm onClose={() => {}} onSaved={() => void router.history.push("/b")} />);
    await type("typed");
    click("Save");
    await screen.findByText("page b");
    expect(question()).toBeNull();
  });

  it("asks again when it could not be saved", async () => {
    save.mockImplementation(() => Promise.reject(new Error("away")));
    vi.spyOn(console, "error").mockImplementation(() => {});
    const failed = vi.fn();
    process.once("unhandledRejection", failed);
    page(() => <InPanel />);
    await type("typed");
    click("Save");
    await waitFor(() => expect(save).toHaveBeenCalled());
    await waitFor(() => expect(hasUnsaved()).toBe(true));
    click("Close");
    await asked();
  });

  it("is not asked about by a dialog over it, nor by the deletion of what it is about", async () => {
    page(() => <InPanel />);
    await type("typed");
    click("Delete");
    await screen.findByRole("dialog", { name: "Delete it" });
    fireEvent.click(screen.getAllByRole("button", { name: "Cancel" }).at(-1) as HTMLElement);
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    click("Delete");
    fireEvent.click(await screen.findByRole("button", { name: "Yes" }));
    await screen.findByText("closed");
    expect(question()).toBeNull();
  });

  it("is asked about by the dialog that it stands in", async () => {
    page(() => <InDialog />);
    await type("typed");
    fireEvent.keyDown(document.activeElement ?? document.body, { key: "Escape" });
    await asked();
    click("Discard changes");
    await waitFor(() => expect(screen.queryByLabelText("Name")).toBeNull());
  });

  it("stays as it is when somebody else changes the same thing, and begins anew when nothing was typed", async () => {
    page(() => <Versioned />);
    const field = async () => (await screen.findByLabelText<HTMLInputElement>("Name")).value;
    expect(await field()).toBe("first");
    act(() => change({ version: 2, name: "second" }));
    expect(await field()).toBe("second");
    await type("typed");
    act(() => change({ version: 3, name: "third" }));
    expect(await field()).toBe("typed");
  });

  it("counts as unchanged once it is saved and stays open, and takes what comes next", async () => {
    page(() => <StaysOpen />);
    const field = async () => await screen.findByLabelText<HTMLInputElement>("Name");
    await type("typed");
    (await field()).focus();
    click("Save");
    // The answer differs from what was typed.
    await waitFor(async () => expect((await field()).value).toBe("typed!"));
    expect(hasUnsaved()).toBe(false);
    expect(document.activeElement).toBe(await field());
    act(() => change({ version: 3, name: "third" }));
    expect((await field()).value).toBe("third");
  });

  it("keeps what was typed when another change arrives while it is being saved, and saving fails", async () => {
    let fail = (_error: Error) => {};
    save.mockImplementation(() => new Promise((_done, failed) => (fail = failed)));
    process.once("unhandledRejection", () => {});
    page(() => <Versioned />);
    await type("typed");
    click("Save");
    await waitFor(() => expect(save).toHaveBeenCalled());
    act(() => change({ version: 2, name: "second" }));
    await act(async () => fail(new Error("stale")));
    expect((await screen.findByLabelText<HTMLInputElement>("Name")).value).toBe("typed");
  });
});

describe("a change of the address", () => {
  const at = (pathname: string, search: object = {}) => ({ pathname, search });
  it("keeps the forms when only the list changes", () => {
    expect(keepsForms(at("/a", { selected: "x" }), at("/a", { selected: "x", q: "y", sort: "name" }))).toBe(
      true,
    );
    expect(keepsForms(at("/a", { panel: "new" }), at("/a", { panel: undefined }))).toBe(false);
    expect(keepsForms(at("/a", { selected: "x" }), at("/a", { selected: "y" }))).toBe(false);
    expect(keepsForms(at("/a"), at("/b"))).toBe(false);
  });
});
