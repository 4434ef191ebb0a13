import type { ReactNode } from "react";
import { AwayNotice } from "#/domain/away";
import logo from "#/icon.svg?inline";

/** The quiet page around login and setup. */
export function AuthShell({
  title,
  lead,
  children,
  wide,
}: {
  title: string;
  lead?: ReactNode;
  children?: ReactNode;
  wide?: boolean;
}) {
  return (
    <>
      <AwayNotice />
      <main className="flex min-h-full items-start justify-center overflow-y-auto px-4 py-[9vh]">
        <div className={wide ? "w-full max-w-xl" : "w-full max-w-sm"}>
          <div className="mb-7 flex items-center gap-3">
            <img src={logo} alt="" className="size-9" />
            <span className="text-base font-semibold">Circuit Breaker</span>
          </div>
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          {lead ? <div className="mt-1.5 text-base text-muted">{lead}</div> : null}
          <div className="mt-6">{children}</div>
        </div>
      </main>
    </>
  );
}

/** A line that leads on; as high as a finger needs. */
export function AuthLink({ href, children }: { href: string; children: ReactNode }) {
  return (
    <a
      href={href}
      className="mt-4 flex min-h-6 w-fit items-center text-sm text-accent-text underline underline-offset-2"
    >
      {children}
    </a>
  );
}
