// The aliases and styles of a bucket, with a preview of the one that is edited.
import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { get, urlOf } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Field, TextInput } from "../../console/parts/fields.tsx";
import { Card, Show } from "../../console/parts/parts.tsx";
import type { ObjectPage } from "../../images/contract.ts";
import { entriesAt, type Form } from "../../settings/page/form.ts";
import { t } from "../words.ts";

interface ProcessingProps {
  readonly form: Form;
  readonly bucket: string;
  /** The other settings of processing. */
  readonly children: ComponentChildren;
}

export function Processing({ form, bucket, children }: ProcessingProps) {
  const instruction = useSignal("");
  return (
    <div class="stack">
      <div class="halves">
        <div class="stack">
          <Names form={form} list="aliases" shown={instruction} />
          <Names form={form} list="styles" shown={instruction} />
        </div>
        <Preview bucket={bucket} instruction={instruction} />
      </div>
      {children}
    </div>
  );
}

interface NamesProps {
  readonly form: Form;
  readonly list: "aliases" | "styles";
  /** The instruction of the preview. */
  readonly shown: Signal<string>;
}

function Names({ form, list, shown }: NamesProps) {
  const entries = entriesAt(form, [list]);
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const data = new FormData(element);
    const value = String(data.get("instruction")).trim().replace(/^\?/, "");
    form.set([list, String(data.get("name")).trim()], value);
    shown.value = value;
    element.reset();
  };
  return (
    <Card
      title={list === "aliases" ? t("aliases") : t("styles")}
      about={list === "aliases" ? t("aliasesAbout") : t("stylesAbout")}
    >
      <div class="stack">
        {entries.map(([name, value]) => (
          <Entry key={name} name={name} value={value} form={form} list={list} shown={shown} />
        ))}
        {entries.length === 0 && <p class="hint">{t("noneYet")}</p>}
        {!form.isReadOnly && (
          <form class="row ends" onSubmit={add}>
            <div class="grow">
              <Field
                label={t("newName")}
                control={(properties) => (
                  <input
                    {...properties}
                    name="name"
                    class="mono"
                    required
                    pattern="[^\s\/?#%&=]+"
                    placeholder="small"
                  />
                )}
              />
            </div>
            <div class="grow">
              <Field
                label={t("instruction")}
                control={(properties) => (
                  <input
                    {...properties}
                    name="instruction"
                    class="mono"
                    required
                    placeholder="imageView2/2/w/200"
                    onInput={({ currentTarget }) => (shown.value = currentTarget.value.trim().replace(/^\?/, ""))}
                  />
                )}
              />
            </div>
            <button type="submit">{t("add")}</button>
          </form>
        )}
      </div>
    </Card>
  );
}

interface EntryProps extends NamesProps {
  readonly name: string;
  readonly value: string;
}

function Entry({ name, value, form, list, shown }: EntryProps) {
  return (
    <div class="row ends">
      <div class="grow">
        <Field
          label={name}
          fault={form.fault([list, name])}
          place={form.place([list, name])}
          control={(properties) => (
            <TextInput
              {...properties}
              class="mono"
              value={value}
              readOnly={form.isReadOnly}
              onFocus={() => (shown.value = value)}
              typing={(text) => {
                shown.value = text.trim();
                if (shown.value !== "") form.set([list, name], shown.value);
              }}
              set={(text) => form.set([list, name], text.trim() || undefined)}
            />
          )}
        />
      </div>
      {!form.isReadOnly && (
        <button
          type="button"
          class="quiet"
          aria-label={`${t("remove")}: ${name}`}
          onClick={() => form.set([list, name], undefined)}
        >
          {t("remove")}
        </button>
      )}
    </div>
  );
}

/** While an instruction is typed, most of its beginnings are none. */
const TYPING_MS = 400;

function Preview({ bucket, instruction }: { readonly bucket: string; readonly instruction: Signal<string> }) {
  const first = useLoaded((signal) => get<ObjectPage>("/objects", { bucket, limit: 1 }, signal));
  const chosen = useSignal("");
  return (
    <Card title={t("preview")} about={t("previewAbout")}>
      <Show of={first.state} reload={first.reload}>
        {({ objects }) => {
          const key = chosen.value === "" ? (objects[0]?.key ?? "") : chosen.value;
          return (
            <div class="stack">
              {key === "" ? (
                <p class="hint">{t("noPreview")}</p>
              ) : (
                <Picture bucket={bucket} imageKey={key} instruction={instruction} />
              )}
              <Field
                label={t("imageKey")}
                control={(properties) => (
                  <TextInput {...properties} class="mono" value={key} set={(text) => (chosen.value = text.trim())} />
                )}
              />
            </div>
          );
        }}
      </Show>
    </Card>
  );
}

interface PictureProps {
  readonly bucket: string;
  readonly imageKey: string;
  readonly instruction: Signal<string>;
}

function Picture({ bucket, imageKey: key, instruction }: PictureProps) {
  const shown = useSettled(instruction);
  const fault = useSignal("");
  return (
    <>
      <div class="preview">
        <img
          src={urlOf("/objects/image", { bucket, key, instruction: shown || undefined })}
          alt={key}
          onLoad={() => (fault.value = "")}
          onError={() => (fault.value = shown)}
        />
      </div>
      <p class={fault.value === "" ? "hint" : "fault"} aria-live="polite">
        {fault.value !== "" ? t("previewFailed") : shown === "" ? t("isOriginal") : <code>{shown}</code>}
      </p>
    </>
  );
}

/** The value of a signal, after it has not changed for a while. */
function useSettled(given: Signal<string>): string {
  const settled = useSignal(given.peek());
  useSignalEffect(() => {
    const { value } = given;
    const timer = setTimeout(() => {
      settled.value = value;
    }, TYPING_MS);
    return () => clearTimeout(timer);
  });
  return settled.value;
}
