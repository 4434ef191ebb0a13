/** The title of the browser's tab: the page, and the name of this instance, which tells several servers apart. */
import { useEffect } from "react";

const PRODUCT = "Circuit Breaker";
let page = "";
let instance = PRODUCT;

function show() {
  document.title = page === "" ? instance : `${page} · ${instance}`;
}

/** For as long as the page is there. */
export function usePageTitle(title: string): void {
  useEffect(() => {
    page = title;
    show();
    return () => {
      page = "";
      show();
    };
  }, [title]);
}

/** For whoever is signed in: before that nobody is told what the instance is called. */
export function useInstanceName(name: string | undefined): void {
  useEffect(() => {
    instance = name || PRODUCT;
    show();
    return () => {
      instance = PRODUCT;
      show();
    };
  }, [name]);
}
