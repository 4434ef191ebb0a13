import { DropdownMenu } from "radix-ui";
import { type ReactNode, useLayoutEffect, useState } from "react";
import { cx } from "./cx";

export const menuItem =
  "flex h-8 w-full items-center gap-2 rounded px-2 text-sm text-ink outline-none select-none data-[highlighted]:bg-hover data-[disabled]:opacity-50 max-md:h-11";

export function Menu({
  trigger,
  label,
  children,
}: {
  trigger: ReactNode;
  label: string;
  children: ReactNode;
}) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <MenuFrame label={label}>{children}</MenuFrame>
    </DropdownMenu.Root>
  );
}

/** What opens: within the page's main landmark, so that whoever goes from landmark to landmark finds it. */
export function MenuFrame({
  label,
  className,
  children,
}: {
  label: string;
  className?: string;
  children: ReactNode;
}) {
  // After the first drawing: a page may be drawn together with its landmark. Later the menu would lose its place when this changed.
  const [main, setMain] = useState<HTMLElement | null>(null);
  useLayoutEffect(() => setMain(document.querySelector("main")), []);
  return (
    <DropdownMenu.Portal container={main}>
      <DropdownMenu.Content
        align="end"
        sideOffset={4}
        collisionPadding={8}
        aria-label={label}
        className={cx(
          "appear z-50 max-h-[70vh] min-w-52 overflow-y-auto rounded-lg border border-line-strong bg-raised p-1 shadow-float",
          className,
        )}
      >
        {children}
      </DropdownMenu.Content>
    </DropdownMenu.Portal>
  );
}

export function MenuItem({
  onSelect,
  children,
  danger,
}: {
  onSelect: () => void;
  children: ReactNode;
  danger?: boolean;
}) {
  return (
    <DropdownMenu.Item className={cx(menuItem, danger && "text-down-text")} onSelect={onSelect}>
      {children}
    </DropdownMenu.Item>
  );
}

export function MenuLink({
  href,
  download,
  children,
}: {
  href: string;
  download?: string;
  children: ReactNode;
}) {
  return (
    <DropdownMenu.Item asChild>
      <a className={menuItem} href={href} download={download}>
        {children}
      </a>
    </DropdownMenu.Item>
  );
}

export function MenuChoice({
  value,
  onChange,
  options,
  label,
}: {
  value: string;
  onChange: (value: string) => void;
  options: { value: string; label: string; icon?: ReactNode }[];
  label: string;
}) {
  return (
    <>
      <DropdownMenu.Label className="px-2 pt-1.5 pb-1 text-xs text-muted">{label}</DropdownMenu.Label>
      <DropdownMenu.RadioGroup value={value} onValueChange={onChange} className="flex gap-1 px-1 pb-1">
        {options.map((option) => (
          <DropdownMenu.RadioItem
            key={option.value}
            value={option.value}
            onSelect={(event) => event.preventDefault()}
            className="flex h-8 flex-1 items-center justify-center gap-1.5 rounded border border-line px-2 text-xs outline-none select-none data-[highlighted]:bg-hover data-[state=checked]:border-accent data-[state=checked]:bg-accent-soft data-[state=checked]:text-accent-text"
          >
            {option.icon}
            {option.label}
          </DropdownMenu.RadioItem>
        ))}
      </DropdownMenu.RadioGroup>
    </>
  );
}

export function MenuSeparator() {
  return <DropdownMenu.Separator className="my-1 h-px bg-line" />;
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return <DropdownMenu.Label className="px-2 py-1.5">{children}</DropdownMenu.Label>;
}
