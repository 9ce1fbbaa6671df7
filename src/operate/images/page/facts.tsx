// The facts of a stored image: its source, its hashes, and the place that serves the next download.
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import type { useLoaded } from "../../console/load.ts";
import { Badge, Card, CopyButton, Show } from "../../console/parts/parts.tsx";
import { ago, bytes, moment } from "../../console/text/format.ts";
import { type TextName, t } from "../../console/text/text.ts";
import type { StatAnswer } from "../contract.ts";

type StoredObject = NonNullable<StatAnswer["object"]>;

const VIA: Readonly<Record<StoredObject["provenance"]["via"], TextName>> = {
  upload: "viaUpload",
  mirror: "viaMirror",
  migration: "viaMigration",
};

export function Facts({ answer: { object, isStale, isQueued, isInMemory } }: { readonly answer: StatAnswer }) {
  if (object === undefined) return null;
  const { provenance, size, width, height, format, mediaType, storedAt, modifiedAt } = object;
  const rows: readonly (readonly [TextName, string | undefined])[] = [
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

interface ServedFromProps {
  readonly answer: StatAnswer;
  readonly buckets: ReturnType<typeof useLoaded<BucketsAnswer>>;
}

/** In words, with the domains that serve it. */
export function ServedFrom({ answer: { bucket, isInMemory, isStale, isQueued }, buckets }: ServedFromProps) {
  const words: TextName = isStale === true ? "servedAfterCheck" : isInMemory ? "servedFromMemory" : "servedFromStore";
  return (
    <Card title={t("servedFrom")}>
      <div class="stack">
        <p>
          {t(words)} {isQueued === true && t("servedQueued")}
        </p>
        <Show of={buckets.state} reload={buckets.reload} lines={2}>
          {({ buckets: all }) => (
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("servedBy")}</th>
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
      </div>
    </Card>
  );
}

export function Hashes({ object: { sha256, sha1, md5, etag } }: { readonly object: StoredObject }) {
  const rows: readonly (readonly [TextName, string | undefined])[] = [
    ["sha256", sha256],
    ["sha1", sha1],
    ["md5", md5],
    ["etag", etag],
  ];
  return (
    <Card title={t("hashes")}>
      <table class="copied">
        <tbody>
          {rows.map(
            ([name, value]) =>
              value !== undefined && (
                <tr key={name}>
                  <th scope="row">{t(name)}</th>
                  <td class="long mono">{value}</td>
                  <td>
                    <CopyButton text={value} about={t(name)} />
                  </td>
                </tr>
              ),
          )}
        </tbody>
      </table>
    </Card>
  );
}
