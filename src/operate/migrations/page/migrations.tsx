// Migrations that this server runs, and the form that starts one.
import { useSignal } from "@preact/signals";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Empty, Page, Show } from "../../console/parts/parts.tsx";
import { t } from "../../console/text/text.ts";
import type { MigrationList } from "../contract.ts";
import { MigrationCard } from "./migration-card.tsx";
import { MigrationForm } from "./migration-form.tsx";

export function MigrationsPage() {
  const list = useLoaded((signal) => get<MigrationList>("/migrations", {}, signal), { everyMs: 2_000 });
  const isAsking = useSignal(false);
  const end = () => {
    isAsking.value = false;
    list.reload();
  };
  const open = !isAsking.value && (
    <button
      type="button"
      class="primary"
      onClick={() => {
        isAsking.value = true;
      }}
    >
      {t("newMigration")}
    </button>
  );
  return (
    <Page title={t("migrations")} about={t("migrationsAbout")} actions={open}>
      {isAsking.value && <MigrationForm done={end} />}
      <Show of={list.state} reload={list.reload}>
        {({ migrations }) =>
          migrations.length === 0 ? (
            !isAsking.value && (
              <Empty title={t("noMigrations")}>
                <p>{t("noMigrationsHint")}</p>
              </Empty>
            )
          ) : (
            <div class="stack">
              {migrations.map((migration) => (
                <MigrationCard key={migration.id} migration={migration} reload={list.reload} />
              ))}
            </div>
          )
        }
      </Show>
    </Page>
  );
}
