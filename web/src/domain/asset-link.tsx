/** Another asset by its name, as a way to it. */
import { Link } from "@tanstack/react-router";
import type { AssetRef } from "#/api/schema";
import { KindIcon } from "./asset";

/** `onOpen`: for a page that shows an asset in its own panel. */
export function AssetLink({ asset, onOpen }: { asset: AssetRef; onOpen?: (id: string) => void }) {
  const look = "inline-flex min-h-6 max-w-full min-w-0 items-center gap-1.5 font-medium hover:underline";
  const inside = (
    <>
      <KindIcon kind={asset.kind} role={asset.role} />
      <span className="truncate">{asset.name}</span>
    </>
  );
  return onOpen ? (
    <button type="button" className={look} onClick={() => onOpen(asset.id)}>
      {inside}
    </button>
  ) : (
    <Link to="/inventory" search={{ selected: asset.id }} className={look}>
      {inside}
    </Link>
  );
}
