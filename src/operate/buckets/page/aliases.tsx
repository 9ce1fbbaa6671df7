// The aliases and styles of a bucket, with a preview of the one that is edited.
import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { get, urlOf } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { InputField } from "../../console/parts/fields.tsx";
import { Card, Show } from "../../console/parts/parts.tsx";
import type { ObjectPage } from "../../images/contract.ts";
import type { Form } from "../../settings/page/draft.ts";
import { Entries } from "../../settings/page/fields.tsx";
import { t } from "../words.ts";

interface ProcessingProps {
  readonly form: Form;
  readonly bucket: string;
  /** The other settings of processing. */
  readonly children: ComponentChildren;
}

export function Processing({ form, bucket, children }: ProcessingProps) {
  const instruction = useSignal("");
  const own = (name: "aliases" | "styles") => (
    <Entries
      {...{ form, name, schema: form.schema.properties?.[name] ?? {}, examples: ["small", "imageView2/2/w/200"] }}
      onValue={(value) => (instruction.value = value.trim())}
    />
  );
  return (
    <div class="stack">
      <div class="halves">
        <Card isStack>
          {own("aliases")}
          {own("styles")}
        </Card>
        <Preview bucket={bucket} instruction={instruction} />
      </div>
      {children}
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
              <InputField label={t("imageKey")} class="mono" value={key} set={(text) => (chosen.value = text.trim())} />
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
