import { DropdownMenu } from "radix-ui";
import type { ReactNode } from "react";
import { cx } from "./cx";

const item =
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
      <DropdownMenu.Portal>
        <DropdownMenu.Content
          align="end"
          sideOffset={4}
          aria-label={label}
          className="appear z-50 min-w-52 rounded-lg border border-line-strong bg-raised p-1 shadow-float"
        >
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
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
    <DropdownMenu.Item className={cx(item, danger && "text-down-text")} onSelect={onSelect}>
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
      <a className={item} href={href} download={download}>
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
