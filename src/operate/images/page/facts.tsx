// The facts of a stored image: its source, its hashes, the place that serves the next download, and the results of
// processing that are stored.
import { useSignal } from "@preact/signals";
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Badge, Button, Card, CopyButton, Show, Table } from "../../console/parts/parts.tsx";
import { ago, bytes, moment } from "../../console/text/format.ts";
import type { StatAnswer, VariantPage } from "../contract.ts";
import { type TextName, t } from "../words.ts";
import type { PreviewProps } from "./preview.tsx";

type StoredObject = NonNullable<StatAnswer["object"]>;

const VIA: Readonly<Record<StoredObject["provenance"]["via"], TextName>> = {
  upload: "viaUpload",
  mirror: "viaMirror",
  migration: "viaMigration",
};

export function Facts({ answer: { object, isStale, isQueued, isInMemory } }: { readonly answer: StatAnswer }) {
  if (object === undefined) return null;
  const { provenance, size, width, height, format, mediaType, storedAt, modifiedAt } = object;
  const rows: Row[] = [
    ["cameBy", t(VIA[provenance.via])],
    ["originUrl", provenance.originUrl],
    ["originEtag", provenance.originEtag],
    ["storedAt", `${moment(storedAt)} (${ago(storedAt)})`],
    ["modifiedAt", moment(modifiedAt)],
    ["validatedAt", provenance.validatedAt && ago(provenance.validatedAt)],
    ["format", `${format.toUpperCase()} (${mediaType})`],
    ["dimensions", width === undefined ? undefined : `${width} × ${height} px`],
    ["size", bytes(size)],
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
      <Rows rows={rows} />
    </Card>
  );
}

/** A name and its value. Without a value it is left out. */
type Row = readonly [TextName, string | undefined];

function Rows({ rows, areCopied = false }: { readonly rows: readonly Row[]; readonly areCopied?: boolean }) {
  return (
    <table class={areCopied ? "copied" : undefined}>
      <tbody>
        {rows.map(
          ([name, value]) =>
            value !== undefined && (
              <tr key={name}>
                <th scope="row">{t(name)}</th>
                <td class={areCopied ? "long mono" : "long"}>{value}</td>
                {areCopied && (
                  <td>
                    <CopyButton text={value} about={t(name)} />
                  </td>
                )}
              </tr>
            ),
        )}
      </tbody>
    </table>
  );
}

interface ServedFromProps {
  readonly answer: StatAnswer;
  readonly buckets: ReturnType<typeof useLoaded<BucketsAnswer>>;
}

/** In words, with the domains that serve it. */
export function ServedFrom({ answer: { bucket, isInMemory, isStale, isQueued }, buckets }: ServedFromProps) {
  const words: TextName = isStale === true ? "servedAfterCheck" : isInMemory ? "servedFromMemory" : "servedFromStore";
  return (
    <Card title={t("servedFrom")} isStack>
      <p>
        {t(words)} {isQueued === true && t("servedQueued")}
      </p>
      <Show of={buckets.state} reload={buckets.reload} lines={2}>
        {({ buckets: all }) => (
          <table>
            <thead>
              <tr>
                <th scope="col">{t("domains")}</th>
                <th scope="col" />
              </tr>
            </thead>
            <tbody>
              {all
                .filter((each) => each.bucket === bucket)
                .flatMap(({ domains }) => domains)
                .map(({ domain, isMirrored }) => (
                  <tr key={domain}>
                    <td class="long">{domain === "*" ? t("everyOtherHost") : <span class="mono">{domain}</span>}</td>
                    <td class="hint number">{t(isMirrored ? "isMirrored" : "isNotMirrored")}</td>
                  </tr>
                ))}
            </tbody>
          </table>
        )}
      </Show>
    </Card>
  );
}

export function Hashes({ object }: { readonly object: StoredObject }) {
  const rows = (["sha256", "sha1", "md5", "etag"] as const).map((name): Row => [name, object[name]]);
  return (
    <Card title={t("hashes")}>
      <Rows rows={rows} areCopied />
    </Card>
  );
}

/** A preview adds one. */
const EVERY_MS = 5_000;

/** The stored results of processing the image. */
export function Variants({ bucket, imageKey: key }: Pick<PreviewProps, "bucket" | "imageKey">) {
  const after = useSignal<string | undefined>(undefined);
  const page = useLoaded(
    (signal) => get<VariantPage>("/objects/variants", { bucket, key, after: after.value }, signal),
    { everyMs: EVERY_MS },
  );
  const show = (from: string | undefined) => () => {
    after.value = from;
  };
  return (
    <Card title={t("variants")} about={t("variantsAbout")}>
      <Show of={page.state} reload={page.reload}>
        {({ variants, next }) => (
          <div class="stack">
            {variants.length === 0 ? <p class="hint">{t("noVariants")}</p> : <List variants={variants} />}
            {(next !== undefined || after.value !== undefined) && (
              <div class="row">
                <Button label={t("firstVariants")} disabled={after.value === undefined} run={show(undefined)} />
                <Button label={t("moreVariants")} disabled={next === undefined} run={show(next)} />
              </div>
            )}
          </div>
        )}
      </Show>
    </Card>
  );
}

function List({ variants }: Pick<VariantPage, "variants">) {
  return (
    <Table t={t} head={["variantOf", "format", "dimensions", "size", "storedAt"]} numbers={["dimensions", "size"]}>
      {variants.map(({ name, alias, recipe, format, width, height, size, storedAt }) => (
        <tr key={name}>
          <td title={recipe ?? name}>{alias === undefined ? t("byInstruction") : <span class="mono">{alias}</span>}</td>
          <td>{format.toUpperCase()}</td>
          <td class="number">{width === undefined ? "–" : `${width} × ${height}`}</td>
          <td class="number">{bytes(size)}</td>
          <td class="nowrap" title={moment(storedAt)}>
            {ago(storedAt)}
          </td>
        </tr>
      ))}
    </Table>
  );
}
