// One image: what is stored, where it came from, what can be done with it, and a preview of processing.
import { useComputed, useSignal } from "@preact/signals";
import type { StatAnswer } from "../answers.ts";
import { get, Problem, postLines, urlOf } from "../api.ts";
import { useLoaded } from "../load.ts";
import { Badge, Card, ConfirmButton, CopyButton, Empty, Field, Page, ProblemNote, Show } from "../parts/parts.tsx";
import { query } from "../router.tsx";
import { ago, bytes, moment } from "../text/format.ts";
import { type TextName, t } from "../text/text.ts";

type Change = "delete" | "undelete" | "purge";

export function ImagePage() {
  const bucket = useComputed(() => query.value.get("bucket") ?? "");
  const key = useComputed(() => query.value.get("key") ?? "");
  const stat = useLoaded((signal) =>
    get<StatAnswer>("/objects/stat", { bucket: bucket.value, name: key.value }, signal),
  );
  const problem = useSignal<Problem | undefined>(undefined);
  const run = async (change: Change) => {
    problem.value = undefined;
    try {
      await postLines<{ readonly message?: string }>(
        `/objects/${change}`,
        { bucket: bucket.value, names: [key.value] },
        ({ message }) => {
          if (message !== undefined) problem.value = new Problem(400, { message });
        },
      );
    } catch (error) {
      problem.value = error instanceof Problem ? error : new Problem(0);
    }
    stat.reload();
  };
  return (
    <Page title={key.value} about={bucket.value}>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <Show of={stat.state} reload={stat.reload} lines={8}>
        {(answer) => <Entry answer={answer} run={(change) => void run(change)} />}
      </Show>
    </Page>
  );
}

function Entry({ answer, run }: { readonly answer: StatAnswer; readonly run: (change: Change) => void }) {
  const { state, bucket, key, tombstone, failure, object } = answer;
  if (state === "tombstone" && tombstone !== undefined)
    return (
      <Empty title={t("isDeleted", { when: ago(tombstone.deletedAt) })}>
        <p>{t("isDeletedHint")}</p>
        <button type="button" onClick={() => run("undelete")}>
          {t("undelete")}
        </button>
      </Empty>
    );
  if (object === undefined)
    return <Empty title={failure === undefined ? t("isAbsent") : t("storeFailed", { failure })} />;
  return (
    <div class="halves">
      <Preview bucket={bucket} imageKey={key} object={object} />
      <div class="stack">
        <Facts answer={answer} />
        <Card title={t("changes")}>
          <div class="row">
            <button type="button" onClick={() => run("purge")}>
              {t("purge")}
            </button>
            <ConfirmButton label={t("delete")} question={t("deleteQuestion", { key })} run={() => run("delete")} />
          </div>
          <p class="hint">{t("purgeHint")}</p>
        </Card>
      </div>
    </div>
  );
}

const VIA: Readonly<Record<string, TextName>> = { upload: "viaUpload", mirror: "viaMirror", migration: "viaMigration" };

function Facts({ answer: { object, isInMemory, isStale, isQueued } }: { readonly answer: StatAnswer }) {
  if (object === undefined) return null;
  const { provenance, size, width, height, format, mediaType, storedAt, modifiedAt, sha256, md5 } = object;
  const rows: readonly (readonly [TextName, string | undefined])[] = [
    ["cameBy", t(VIA[provenance.via] ?? "viaUpload")],
    ["originUrl", provenance.originUrl],
    ["storedAt", `${moment(storedAt)} (${ago(storedAt)})`],
    ["modifiedAt", moment(modifiedAt)],
    ["validatedAt", provenance.validatedAt && ago(provenance.validatedAt)],
    ["format", `${format.toUpperCase()} (${mediaType})`],
    ["dimensions", width === undefined ? undefined : `${width} × ${height} px`],
    ["size", bytes(size)],
    ["sha256", sha256],
    ["md5", md5],
  ];
  return (
    <Card
      title={t("facts")}
      actions={
        <>
          {object.isDamaged && <Badge tone="bad">{t("damaged")}</Badge>}
          {object.isSuspect && <Badge tone="warn">{t("suspect")}</Badge>}
          {isStale === true && <Badge tone="warn">{t("stale")}</Badge>}
          {isQueued === true && <Badge tone="plain">{t("queued")}</Badge>}
          {isInMemory && <Badge tone="good">{t("inMemory")}</Badge>}
        </>
      }
    >
      <table>
        <tbody>
          {rows.map(
            ([name, value]) =>
              value !== undefined && (
                <tr key={name}>
                  <th scope="row">{t(name)}</th>
                  <td class="long">{value}</td>
                </tr>
              ),
          )}
        </tbody>
      </table>
    </Card>
  );
}

const SAMPLES = ["imageView2/2/w/800", "imageView2/1/w/400/h/400", "imageMogr2/format/webp", "imageMogr2/format/avif"];

interface PreviewProps {
  readonly bucket: string;
  readonly imageKey: string;
  readonly object: NonNullable<StatAnswer["object"]>;
}

function Preview({ bucket, imageKey: key, object: { width, height } }: PreviewProps) {
  const instruction = useSignal("");
  const fault = useSignal<string | undefined>(undefined);
  const source = useComputed(() =>
    urlOf("/objects/image", { bucket, key, instruction: instruction.value || undefined }),
  );
  return (
    <Card title={t("preview")}>
      <div class="stack">
        <div class="preview">
          <img
            src={source}
            alt={key}
            {...(instruction.value === "" && { width, height })}
            onLoad={() => {
              fault.value = undefined;
            }}
            onError={() => {
              fault.value = t("previewFailed");
            }}
          />
        </div>
        <Field
          label={t("instruction")}
          hint={t("instructionHint")}
          fault={fault.value}
          control={(properties) => (
            <input
              {...properties}
              class="mono"
              list="instructions"
              value={instruction}
              placeholder="imageView2/2/w/800"
              onChange={({ currentTarget }) => {
                instruction.value = currentTarget.value.replace(/^\?/, "");
              }}
            />
          )}
        />
        <datalist id="instructions">
          {SAMPLES.map((sample) => (
            <option key={sample}>{sample}</option>
          ))}
        </datalist>
        <CopyButton text={new URL(source.value, location.href).href} name="copyUrl" />
      </div>
    </Card>
  );
}
