// A form over the settings file with tabs: changes are collected, shown as a diff, and saved at once.
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { SettingSchema } from "../../../settings/setting-schema.ts";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Button, Show } from "../../console/parts/parts.tsx";
import { go, Link, unsaved } from "../../console/router.tsx";
import { type Path, valueAt } from "../../console/tree.ts";
import type { SettingsApplied, SettingsState } from "../contract.ts";
import { t } from "../words.ts";
import type { Form, Single } from "./draft.ts";
import {
  changesIn,
  type Draft,
  drafted,
  editsOf,
  faultAt,
  goes,
  isRemoved,
  movedPath,
  NO_DRAFT,
  pathText,
  withRemoved,
  withSet,
} from "./draft.ts";
import { type Faulty, faultText, Review, SettingsNotes } from "./review.tsx";
import { schemaAt } from "./setting-schema.ts";

export interface Settings {
  readonly state: SettingsState;
  readonly schema: SettingSchema;
  /** Reads the file again. */
  readonly reread: () => void;
}

/** Loads the settings file and its schema. Above the page it says if the file cannot be edited, or is not in force. */
export function WithSettings({ children }: { readonly children: (settings: Settings) => ComponentChildren }) {
  const schema = useLoaded((signal) => get<SettingSchema>("/settings/schema", {}, signal));
  const state = useLoaded((signal) => get<SettingsState>("/settings", {}, signal));
  return (
    <Show of={schema.state} reload={schema.reload} lines={8}>
      {(loaded) => (
        <Show of={state.state} reload={state.reload} lines={8}>
          {(value) => (
            <>
              <SettingsNotes state={value} />
              {children({ state: value, schema: loaded, reread: state.reload })}
            </>
          )}
        </Show>
      )}
    </Show>
  );
}

export interface Tab {
  readonly name: string;
  readonly title: string;
  /** Settings whose faults mark the tab; left out: those that no other tab has. */
  readonly keys?: readonly string[];
  readonly content: (form: Form) => ComponentChildren;
}

interface EditorProps {
  readonly settings: Settings;
  /** The mapping of the file that the form edits. */
  readonly path: Path;
  readonly title: string;
  readonly tabs: readonly Tab[];
  /** The name of the open tab; another opens the first. */
  readonly view: string | null;
  readonly hrefOf: (tab: string) => string;
}

export function Editor({ settings, path, title, tabs, view, hrefOf }: EditorProps) {
  const { state, schema } = settings;
  const draft = useSignal(NO_DRAFT);
  const single = useSignal<Single | undefined>(undefined);
  /** The faults that the last review found; undefined before one: those of the file hold. */
  const reviewed = useSignal<Faulty | undefined>(undefined);
  const faults = reviewed.value ?? state.faults;
  const applied = useSignal<SettingsApplied | undefined>(undefined);
  /** The place of a fault to show. */
  const wanted = useSignal("");
  const count = changesIn(draft.value);
  useEffect(() => {
    unsaved.value = count > 0 ? t("leaveUnsaved") : undefined;
    return () => {
      unsaved.value = undefined;
    };
  }, [count > 0]);
  const open = tabs.find(({ name }) => name === view) ?? tabs[0];
  useEffect(() => {
    if (wanted.value !== "") showPlace(wanted.value);
    wanted.value = "";
  }, [wanted.value, open]);
  const own = valueAt(state.settings, path);
  const tree = drafted(own, draft.value);
  const change = (next: typeof draft.value) => {
    draft.value = next;
    applied.value = undefined;
    single.value = undefined;
    reviewed.value = [];
  };
  const placeOf = (inner: Path) => [...path, ...movedPath(draft.value, inner)];
  const form: Form = {
    schema: schemaAt(schema, path, state.settings),
    value: (...inner) => valueAt(tree, inner),
    saved: (...inner) => valueAt(own, inner),
    set: (inner, value, standard) => change(withSet(draft.value, own, { path: inner, value }, standard)),
    reset: (inner) => change(withSet(draft.value, own, { path: inner, value: valueAt(own, inner) })),
    remove: (inner) => change(withRemoved(draft.value, own, inner)),
    isRemoved: (inner) => isRemoved(draft.value, inner),
    review: count > 0 ? undefined : (given) => (single.value = given),
    fault: (inner) => (goes(draft.value, inner) ? undefined : faultText(faultAt(faults, placeOf(inner)))),
    place: (inner) => (goes(draft.value, inner) ? "" : pathText(placeOf(inner))),
    isReadOnly: state.readOnly !== undefined || state.version === undefined,
  };
  const listed = new Set(tabs.flatMap(({ keys = [] }) => keys));
  const tabOf = (fault: Faulty[number]) => {
    const key = Object.keys(Object(form.schema.properties)).find((each) => faultAt([fault], [...path, each]));
    return tabs.find(({ keys }) => (keys === undefined ? !listed.has(key ?? "") : keys.includes(key ?? "")));
  };
  const isWithin = (fault: Faulty[number]) => path.length === 0 || faultAt([fault], path) !== undefined;
  const marked = new Set(faults.filter(isWithin).map(tabOf));
  return (
    <>
      <nav class="tabs" aria-label={title}>
        {tabs.map((tab) => (
          <Link key={tab.name} href={hrefOf(tab.name)} aria-current={tab === open ? "page" : undefined}>
            {tab.title}
            {marked.has(tab) && (
              <span class="fault">
                {" "}
                ● <span class="visually-hidden">{t("hasFault")}</span>
              </span>
            )}
          </Link>
        ))}
      </nav>
      {open?.content(form)}
      <Changes
        {...{ settings, path, draft, single, applied }}
        faulty={(found) => (reviewed.value = found)}
        toField={(fault) =>
          isWithin(fault)
            ? () => {
                go(hrefOf((tabOf(fault) ?? open)?.name ?? ""));
                wanted.value = fault.path;
              }
            : undefined
        }
      />
    </>
  );
}

interface ChangesProps extends Pick<EditorProps, "settings" | "path"> {
  readonly draft: Signal<Draft>;
  readonly single: Signal<Single | undefined>;
  /** The answer to the last save. */
  readonly applied: Signal<SettingsApplied | undefined>;
  readonly faulty: (faults: Faulty | undefined) => void;
  /** Shows the field of a fault; undefined if this form has none. */
  readonly toField: (fault: Faulty[number]) => (() => void) | undefined;
}

/** The bar at the foot of the page, and in its place the diff. */
function Changes({ settings, path, draft, single, applied, faulty, toField }: ChangesProps) {
  const isReviewed = useSignal(false);
  const count = changesIn(draft.value);
  const { version = "" } = settings.state;
  const drop = () => {
    draft.value = NO_DRAFT;
    single.value = undefined;
    isReviewed.value = false;
    faulty(undefined);
  };
  const { edit, note, done } = single.value ?? {};
  if (edit !== undefined || (isReviewed.value && count > 0)) {
    const edits = edit === undefined ? editsOf(draft.value) : [edit];
    return (
      <Review
        version={version}
        edits={edits.map((each) => ({ ...each, path: [...path, ...each.path] }))}
        {...(note !== undefined && { note })}
        reread={settings.reread}
        done={(answer) => {
          applied.value = answer;
          drop();
          settings.reread();
          done?.();
        }}
        cancel={() => {
          isReviewed.value = false;
          single.value = undefined;
        }}
        faulty={faulty}
        toField={toField}
      />
    );
  }
  if (count === 0)
    return applied.value === undefined ? null : (
      <p class={`note ${applied.value.isInForce ? "good" : "warn"}`} role="status">
        {applied.value.isInForce ? t("savedInForce") : t("isNotInForce")}
      </p>
    );
  return (
    <div class="bar" role="status">
      <span>{count === 1 ? t("oneChange") : t("manyChanges", { count })}</span>
      <div class="row">
        <Button label={t("showChanges")} class="primary" run={() => (isReviewed.value = true)} />
        <Button label={t("discard")} run={drop} />
      </div>
    </div>
  );
}

/** Unfolds and focuses the field of a setting, or the nearest one around it. */
function showPlace(path: string): void {
  const isAround = (place: string) => path.startsWith(place) && /^(?:$|[.[])/.test(path.slice(place.length));
  const fields = [...document.querySelectorAll<HTMLElement>("[data-path]")];
  const around = fields.filter(({ dataset }) => isAround(dataset.path ?? ""));
  const field = around.sort((a, b) => (b.dataset.path ?? "").length - (a.dataset.path ?? "").length)[0];
  for (let fold = field?.closest("details"); fold; fold = fold.parentElement?.closest("details")) fold.open = true;
  field?.querySelector<HTMLElement>("input, select, textarea, button")?.focus();
  field?.scrollIntoView({ block: "center" });
}
