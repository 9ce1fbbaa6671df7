// The settings of the whole server: ports, limits, the store, and the projects with their keys.
import { Button, Card, Page } from "../../console/parts/parts.tsx";
import { query } from "../../console/router.tsx";
import { listAt, textAt } from "../../console/tree.ts";
import { t } from "../words.ts";
import { type Form, formAt } from "./draft.ts";
import { Editor, type Settings, WithSettings } from "./editor.tsx";
import { SettingFields } from "./fields.tsx";
import { Keys } from "./keys.tsx";
import { newValue } from "./setting-schema.ts";

/** Settings that have a tab of their own. */
const OTHER_TABS = ["server", "limits", "projects"];

export function SettingsPage() {
  return (
    <Page title={t("settings")} about={t("settingsAbout")}>
      <WithSettings>
        {(settings) => (
          <Editor
            settings={settings}
            path={[]}
            title={t("settings")}
            view={query.value.get("view")}
            hrefOf={(view) => `/settings?view=${view}`}
            tabs={[
              { name: "server", title: t("server"), keys: ["server"], content: whole("server") },
              { name: "limits", title: t("limits"), keys: ["limits"], content: whole("limits") },
              {
                ...{ name: "projects", title: t("projects"), keys: ["projects"] },
                content: (form) => <Projects form={form} settings={settings} />,
              },
              { name: "store", title: t("storeAndData"), content: (form) => fields(form, OTHER_TABS) },
            ]}
          />
        )}
      </WithSettings>
    </Page>
  );
}

const whole = (name: string) => (form: Form) => fields(formAt(form, [name], form.schema.properties?.[name] ?? {}));

/** All settings of a mapping but these. */
const fields = (form: Form, others: readonly string[] = []) => (
  <Card>
    <SettingFields
      form={form}
      keys={Object.keys(form.schema.properties ?? {}).filter((key) => !others.includes(key))}
    />
  </Card>
);

/** Buckets have pages of their own. */
function Projects({ form, settings: { state, reread } }: { readonly form: Form; readonly settings: Settings }) {
  const schema = form.schema.properties?.projects?.items ?? {};
  const projects = listAt(form.value("projects"), []);
  const inFile = listAt(state.settings, ["projects"]).length;
  const keys = Object.keys(schema.properties ?? {}).filter((key) => key !== "buckets" && key !== "keys");
  return (
    <div class="stack">
      {projects.map((_, position) => (
        <div key={position} class="stack" data-path={form.place(["projects", position])}>
          <Card title={`projects ${position + 1}`}>
            <SettingFields
              form={formAt(form, ["projects", position], schema)}
              keys={position < inFile ? keys : [...keys, "keys"]}
            />
          </Card>
          {position < inFile && (
            <Keys
              appid={textAt(state.settings, ["projects", position, "appid"])}
              isReadOnly={form.isReadOnly}
              file={state.file ?? ""}
              changed={reread}
            />
          )}
        </div>
      ))}
      {!form.isReadOnly && (
        <div>
          <Button
            label={t("addNamed", { name: "projects" })}
            run={() => form.set(["projects", projects.length], newValue(schema))}
          />
        </div>
      )}
    </div>
  );
}
