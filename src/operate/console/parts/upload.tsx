// Upload by drag and drop, or by a file dialog. Files may be dropped anywhere on the page, so that none replaces it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type Problem, problemOf, put } from "../api.ts";
import { Link } from "../router.tsx";
import { bytes } from "../text/format.ts";
import { type TextName, t } from "../text/text.ts";
import { Icon } from "./icons.tsx";

interface UploadProps {
  readonly bucket: string;
  /** The keys of the uploads begin with it: empty, or it ends with a slash. */
  readonly folder: string;
  readonly done: () => void;
}

interface Upload {
  readonly file: File;
  /** The share of its bytes that the browser has sent, 0 to 1; undefined: it waits for the uploads before it. */
  readonly share?: number;
  readonly isStored?: boolean;
  readonly problem?: Problem;
}

const EXISTS = -1886;
/** By the code of the answer. */
const FAULTS: Readonly<Record<number, TextName>> = {
  [EXISTS]: "uploadExists",
  [-1893]: "uploadNoImage",
  [-5995]: "uploadSize",
  [-75]: "uploadRefused",
};

export function UploadDrop({ bucket, folder, done }: UploadProps) {
  /** By key. */
  const uploads = useSignal<ReadonlyMap<string, Upload>>(new Map());
  const isOver = useSignal(false);
  const set = (key: string, upload: Upload) => {
    uploads.value = new Map([...uploads.value, [key, upload]]);
  };
  const send = async (key: string, file: File, replace = false) => {
    set(key, { file, share: 0 });
    try {
      await put("/objects/upload", { bucket, key, replace }, file, (share) => set(key, { file, share }));
      set(key, { file, isStored: true });
    } catch (error) {
      set(key, { file, problem: problemOf(error) });
    }
  };
  const add = async (list: FileList | null | undefined) => {
    const files = [...(list ?? [])].map((file) => [`${folder}${file.name}`, file] as const);
    for (const [key, file] of files) set(key, { file });
    for (const [key, file] of files) await send(key, file);
    done();
  };
  useEffect(() => {
    const controller = new AbortController();
    const listen = (name: "dragover" | "drop" | "dragleave", isInside: boolean) =>
      addEventListener(
        name,
        (event) => {
          if (event.dataTransfer?.types.includes("Files") !== true) return;
          event.preventDefault();
          isOver.value = isInside;
          if (name === "drop") void add(event.dataTransfer.files);
        },
        { signal: controller.signal },
      );
    listen("dragover", true);
    listen("dragleave", false);
    listen("drop", false);
    return () => controller.abort();
  }, [bucket, folder]);
  return (
    <div class={`drop ${isOver.value ? "is-over" : ""}`}>
      <label class="button">
        <Icon name="upload" />
        {t("upload")}
        <input
          class="visually-hidden"
          type="file"
          accept="image/*"
          multiple
          onChange={({ currentTarget }) => {
            void add(currentTarget.files);
            // The same file may be chosen again.
            currentTarget.value = "";
          }}
        />
      </label>
      <span class="hint">{folder === "" ? t("uploadHint") : t("uploadHintFolder", { folder })}</span>
      <ul aria-live="polite">
        {[...uploads.value].map(([key, upload]) => (
          <Row
            key={key}
            page={`/images/one?${new URLSearchParams({ bucket, key })}`}
            name={key}
            upload={upload}
            replace={() => void send(key, upload.file, true).then(done)}
          />
        ))}
      </ul>
    </div>
  );
}

interface RowProps {
  readonly page: string;
  readonly name: string;
  readonly upload: Upload;
  readonly replace: () => void;
}

function Row({ page, name, upload: { file, share, isStored = false, problem }, replace }: RowProps) {
  const fault = problem && FAULTS[problem.code];
  return (
    <li class="row">
      {isStored ? <Link href={page}>{name}</Link> : <span>{name}</span>}
      <span class="hint">{bytes(file.size)}</span>
      {problem !== undefined && (
        <span class="fault">{fault === undefined ? problem.message || t("noAnswer") : t(fault)}</span>
      )}
      {problem?.code === EXISTS && (
        <button type="button" onClick={replace}>
          {t("replace")} <span class="visually-hidden">{name}</span>
        </button>
      )}
      {problem === undefined && (
        <span>{t(isStored ? "stored" : share === undefined ? "uploadWaits" : "uploading")}</span>
      )}
      {share !== undefined && <progress aria-label={name} value={share} />}
    </li>
  );
}
