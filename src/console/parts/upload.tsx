// Upload by drag and drop, or by a file dialog.
import { useSignal } from "@preact/signals";
import { Problem, put } from "../api.ts";
import { t } from "../text/text.ts";
import { Icon } from "./icons.tsx";

interface UploadProps {
  readonly bucket: string;
  /** The keys of the uploads begin with it. */
  readonly prefix: string;
  readonly done: () => void;
}

interface Upload {
  readonly key: string;
  readonly fault?: string;
  readonly isDone: boolean;
}

export function UploadDrop({ bucket, prefix, done }: UploadProps) {
  const uploads = useSignal<readonly Upload[]>([]);
  const isOver = useSignal(false);
  const add = async (files: FileList | null | undefined) => {
    for (const file of files ?? []) {
      const key = `${prefix}${file.name}`;
      const set = (change: Partial<Upload>) => {
        const others = uploads.value.filter((each) => each.key !== key);
        uploads.value = [...others, { key, isDone: false, ...change }];
      };
      set({});
      try {
        await put("/objects/upload", { bucket, key }, file);
        set({ isDone: true });
      } catch (error) {
        set({ fault: error instanceof Problem && error.message !== "" ? error.message : t("noAnswer") });
      }
    }
    done();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same for the keyboard.
    <div
      class={`drop ${isOver.value ? "is-over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        isOver.value = true;
      }}
      onDragLeave={() => {
        isOver.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        isOver.value = false;
        void add(event.dataTransfer?.files);
      }}
    >
      <label class="button">
        <Icon name="upload" />
        {t("upload")}
        <input
          class="visually-hidden"
          type="file"
          accept="image/*"
          multiple
          onChange={({ currentTarget }) => void add(currentTarget.files)}
        />
      </label>
      <span class="hint">{t("uploadHint", { prefix: prefix === "" ? t("itsName") : `${prefix}…` })}</span>
      <ul aria-live="polite">
        {uploads.value.map(({ key, fault, isDone }) => (
          <li key={key} class={fault === undefined ? "" : "fault"}>
            {key}: {fault ?? (isDone ? t("stored") : t("uploading"))}
          </li>
        ))}
      </ul>
    </div>
  );
}
