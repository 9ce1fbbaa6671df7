// The logs: operations, usage by day, callbacks that are owed, and the steps that a request would take.
import { useComputed } from "@preact/signals";
import { Callbacks } from "../callbacks/page.tsx";
import { Explain } from "../explain/page.tsx";
import { Operations } from "../operations/page.tsx";
import { Usage } from "../usage/page.tsx";
import { Page } from "./parts/parts.tsx";
import { isTrial, Link, query } from "./router.tsx";
import { type TextName, t } from "./text/text.ts";

const VIEWS = ["operations", "usage", "callbacks", "explain"] as const satisfies readonly TextName[];

export function LogsPage() {
  const view = useComputed(() => VIEWS.find((name) => name === query.value.get("view")) ?? "operations");
  return (
    <Page title={t("logs")} about={t("logsAbout")}>
      <nav class="tabs" aria-label={t("logs")}>
        {VIEWS.filter((name) => !(isTrial && name === "callbacks")).map((name) => (
          <Link key={name} href={`/logs?view=${name}`} aria-current={name === view.value ? "page" : undefined}>
            {t(name)}
          </Link>
        ))}
      </nav>
      {view.value === "operations" && <Operations />}
      {view.value === "usage" && <Usage />}
      {view.value === "callbacks" && <Callbacks />}
      {view.value === "explain" && <Explain />}
    </Page>
  );
}
