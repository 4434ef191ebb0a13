import { useMutation } from "@tanstack/react-query";
import { Bookmark, BookmarkPlus, Pencil, Save, Trash2, X } from "lucide-react";
import { DropdownMenu } from "radix-ui";
import { useEffect, useRef, useState } from "react";
import { useForm } from "react-hook-form";
import { http, ifMatch, take } from "#/api/client";
import type { View, ViewList } from "#/api/schema";
import { EditTrouble } from "#/domain/edit/edit-trouble";
import { useEdit } from "#/domain/edit/use-edit";
import { useRemoval } from "#/domain/removal";
import { useTranslation } from "#/i18n";
import { Button } from "#/ui/button";
import { cx } from "#/ui/cx";
import type { Column } from "#/ui/data-table";
import { Dialog } from "#/ui/dialog";
import { TextField } from "#/ui/field";
import { Cancel, Form } from "#/ui/form";
import { MenuFrame, MenuItem, MenuLabel, MenuSeparator, menuItem } from "#/ui/menu";
import type { Choice } from "#/ui/table-view";
import { toast } from "#/ui/toast";
import { addressOf, contentOf, differs, type Shown, viewsQuery } from "./views";

const NAME_MOST = 100;

interface ViewsMenuProps<T> {
  list: ViewList;
  views: readonly View[];
  /** The one that is open. */
  view: View | undefined;
  shown: Shown;
  choice: Choice;
  columns: readonly Column<T>[];
  onOpen: (next: Shown) => void;
  onSaved: (view: View) => void;
}

export function ViewsMenu<T>(props: ViewsMenuProps<T>) {
  const { list, views, view, shown, choice, columns, onOpen, onSaved } = props;
  const { t } = useTranslation();
  const trigger = useRef<HTMLButtonElement>(null);
  const [naming, setNaming] = useState<"new" | "rename">();
  const remove = useRemoval();
  /** What is shown while this menu is there. */
  const now = useRef<Shown | null>(null);
  useEffect(() => {
    now.current = shown;
    return () => {
      now.current = null;
    };
  }, [shown]);
  const changed = !!view && differs(view, shown, choice, columns);
  const overwrite = useMutation({
    mutationFn: (of: View) =>
      take(
        http.PATCH("/api/v1/views/{id}", {
          params: { path: { id: of.id } },
          headers: ifMatch(of.version),
          body: contentOf(list, shown, choice, columns),
        }),
      ),
    onSuccess: (saved) => {
      onSaved(saved);
      toast(t("views.saved", { name: saved.name }));
    },
    onError: (error) => toast(error.message, { tone: "error" }),
  });
  const close = () => onOpen({});
  const label = view ? t("views.of", { name: view.name }) : t("views.title");
  return (
    <>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger asChild>
          <Button ref={trigger} aria-label={label} title={label} className="max-md:w-10 max-md:px-0">
            <Bookmark aria-hidden className={cx("size-4", view && "fill-current text-accent-text")} />
            <span className="max-w-40 truncate max-md:hidden">{view ? view.name : t("views.title")}</span>
            {changed ? (
              <span aria-hidden className="text-accent-text max-md:hidden">
                •
              </span>
            ) : null}
          </Button>
        </DropdownMenu.Trigger>
        <MenuFrame label={t("views.title")} className="max-w-80 min-w-64">
          {views.length === 0 ? (
            <MenuLabel>
              <span className="block max-w-64 text-muted">{t("views.none")}</span>
            </MenuLabel>
          ) : (
            <DropdownMenu.RadioGroup value={view?.id ?? ""} aria-label={t("views.savedList")}>
              {views.map((one) => (
                <DropdownMenu.RadioItem
                  key={one.id}
                  value={one.id}
                  className={menuItem}
                  onSelect={() => onOpen(addressOf(one))}
                >
                  <span aria-hidden className="w-4 shrink-0 text-accent-text">
                    {one.id === view?.id ? "✓" : ""}
                  </span>
                  <span className="truncate">{one.name}</span>
                </DropdownMenu.RadioItem>
              ))}
            </DropdownMenu.RadioGroup>
          )}
          <MenuSeparator />
          {view && changed ? (
            <MenuItem onSelect={() => overwrite.mutate(view)}>
              <Save aria-hidden className="size-4 shrink-0" />
              <span className="truncate">{t("views.overwrite", { name: view.name })}</span>
            </MenuItem>
          ) : null}
          <MenuItem onSelect={() => setNaming("new")}>
            <BookmarkPlus aria-hidden className="size-4 shrink-0" />
            {t("views.saveAs")}
          </MenuItem>
          {view ? (
            <>
              <MenuItem onSelect={() => setNaming("rename")}>
                <Pencil aria-hidden className="size-4 shrink-0" />
                <span className="truncate">{t("views.rename", { name: view.name })}</span>
              </MenuItem>
              <MenuItem
                danger
                onSelect={() => {
                  close();
                  remove({
                    ids: [view.id],
                    text: t("views.deleted", { name: view.name }),
                    resource: "views",
                    send: (id) => take(http.DELETE("/api/v1/views/{id}", { params: { path: { id } } })),
                    invalidate: [viewsQuery.queryKey],
                    // Unless another view was opened meanwhile, or another page.
                    undone: () => {
                      if (now.current && !now.current.view) onOpen(shown);
                    },
                  });
                }}
              >
                <Trash2 aria-hidden className="size-4 shrink-0" />
                <span className="truncate">{t("views.delete", { name: view.name })}</span>
              </MenuItem>
              <MenuSeparator />
              <MenuItem onSelect={close}>
                <X aria-hidden className="size-4 shrink-0" />
                {t("views.close")}
              </MenuItem>
            </>
          ) : null}
        </MenuFrame>
      </DropdownMenu.Root>
      <Dialog
        title={naming === "rename" && view ? t("views.rename", { name: view.name }) : t("views.saveAs")}
        description={naming === "rename" ? undefined : t("views.saveText")}
        open={naming === "new" || (naming === "rename" && !!view)}
        onClose={() => {
          setNaming(undefined);
          // The menu item that opened the dialog is gone.
          requestAnimationFrame(() => trigger.current?.focus());
        }}
      >
        <NameForm
          view={naming === "rename" ? view : undefined}
          make={(name) =>
            take(
              http.POST("/api/v1/views", {
                body: { list, name, ...contentOf(list, shown, choice, columns) },
              }),
            )
          }
          onSaved={(saved) => {
            onSaved(saved);
            if (naming === "new") onOpen(addressOf(saved));
            toast(t("views.saved", { name: saved.name }));
          }}
          onClose={() => {
            setNaming(undefined);
            requestAnimationFrame(() => trigger.current?.focus());
          }}
        />
      </Dialog>
    </>
  );
}

const toForm = (view?: View) => ({ name: view?.name ?? "" });

function NameForm({
  view,
  make,
  onSaved,
  onClose,
}: {
  /** The one to rename. */
  view?: View;
  make: (name: string) => Promise<View>;
  onSaved: (saved: View) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation();
  const form = useForm({ defaultValues: toForm(view) });
  const { errors, isDirty, isSubmitting } = form.formState;
  const edit = useEdit({
    form,
    of: view,
    read: ({ id }) => take(http.GET("/api/v1/views/{id}", { params: { path: { id } } })),
    toForm,
    fields: { name: { label: t("views.name") } },
    send: (values, held) => {
      const name = values.name.trim();
      if (!held) return make(name);
      const params = { path: { id: held.id } };
      const headers = ifMatch(held.version);
      return take(http.PATCH("/api/v1/views/{id}", { params, headers, body: { name } }));
    },
    done: (saved) => {
      onSaved(saved);
      onClose();
    },
    places: ["name"],
  });
  return (
    <Form changed={isDirty} onSubmit={edit.submit} className="flex flex-col gap-3">
      <TextField
        label={t("views.name")}
        autoFocus
        maxLength={NAME_MOST}
        error={errors.name?.message}
        {...form.register("name", {
          validate: (text) => text.trim() !== "" || t("form.required"),
        })}
      />
      <EditTrouble edit={edit} />
      <div className="flex justify-end gap-2">
        <Cancel onClick={onClose} />
        <Button type="submit" look="primary" busy={isSubmitting}>
          {t("common.save")}
        </Button>
      </div>
    </Form>
  );
}
