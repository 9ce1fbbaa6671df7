// Which page is shown: a path and a query of the address bar. Links are plain links, so that they can be copied and
// opened in a new tab; a plain click changes the page without loading it again.
import { computed, signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

const address = signal(new URL(location.href));

/** The console of `huiyuan try`, which has no settings file. So it has no migrations, backups, callbacks or edits. */
export const isTrial = document.getElementById("console")?.dataset.trial !== undefined;

export const path = computed(() => address.value.pathname);
export const query = computed(() => address.value.searchParams);

/** Asked before another page is shown, or the window closed; undefined: nothing would be lost. */
export const unsaved = signal<string | undefined>(undefined);

/** Another view of the same bucket or image is the same page. */
function mayLeave(url: URL): boolean {
  const pageOf = ({ pathname, searchParams }: URL) => `${pathname} ${searchParams.get("bucket")}`;
  const isSame = pageOf(url) === pageOf(address.value);
  return isSame || unsaved.value === undefined || confirm(unsaved.value);
}

/** `replaces`: without a new entry in the browser's history. */
export function go(target: string, { replaces = false } = {}): void {
  const url = new URL(target, location.href);
  if (!mayLeave(url)) return;
  if (replaces) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  const isOther = url.pathname !== address.value.pathname;
  address.value = url;
  if (!isOther) return;
  scrollTo(0, 0);
  // A screen reader reads the new page's heading.
  queueMicrotask(() => document.querySelector<HTMLElement>("h1")?.focus());
}

/** Changes parameters of the query; undefined removes one. */
export function setQuery(changes: Readonly<Record<string, string | undefined>>, { replaces = true } = {}): void {
  const url = new URL(address.value);
  for (const [name, value] of Object.entries(changes))
    if (value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  go(url.href, { replaces });
}

addEventListener("popstate", () => {
  const url = new URL(location.href);
  if (mayLeave(url)) address.value = url;
  else history.pushState(null, "", address.value);
});

addEventListener("beforeunload", (event) => {
  if (unsaved.value !== undefined) event.preventDefault();
});

interface LinkProps {
  readonly href: string;
  readonly class?: string;
  readonly title?: string;
  readonly "aria-current"?: "page" | undefined;
  readonly children: ComponentChildren;
}

export function Link({ href, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    // The server writes the page of the trial.
    if (href === "/trial" || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
      return;
    event.preventDefault();
    go(href);
  };
  return (
    <a href={href} onClick={follow} {...rest}>
      {children}
    </a>
  );
}
