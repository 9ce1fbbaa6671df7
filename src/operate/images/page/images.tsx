// Browse and search the images of a bucket.
import { useComputed, useSignal } from "@preact/signals";
import type { BucketsAnswer } from "../../admin/contract/contract.ts";
import { get, urlOf } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { InputField, Select } from "../../console/parts/fields.tsx";
import { Button, Empty, Page, Show } from "../../console/parts/parts.tsx";
import { UploadDrop } from "../../console/parts/upload.tsx";
import { Link, query, setQuery } from "../../console/router.tsx";
import { bytes } from "../../console/text/format.ts";
import type { ObjectPage } from "../contract.ts";
import { t } from "../words.ts";

const PAGE = 60;

export function ImagesPage() {
  const buckets = useLoaded((signal) => get<BucketsAnswer>("/buckets", {}, signal));
  return (
    <Page title={t("images")} about={t("imagesAbout")}>
      <Show of={buckets.state} reload={buckets.reload}>
        {({ buckets: all }) =>
          all.length === 0 ? (
            <Empty title={t("noBuckets")}>
              <Link class="button primary" href="/buckets/new">
                {t("newBucket")}
              </Link>
            </Empty>
          ) : (
            <Browser all={all} />
          )
        }
      </Show>
    </Page>
  );
}

function Browser({ all }: { readonly all: BucketsAnswer["buckets"] }) {
  const buckets = all.map(({ bucket }) => bucket);
  const bucket = useComputed(() => query.value.get("bucket") ?? buckets[0] ?? "");
  const prefix = useComputed(() => query.value.get("prefix") ?? "");
  const after = useComputed(() => query.value.get("after") ?? undefined);
  const search = (text: string) => setQuery({ prefix: text, after: undefined });
  const page = useLoaded((signal) => {
    const where = { bucket: bucket.value, prefix: prefix.value || undefined, after: after.value, limit: PAGE };
    return get<ObjectPage>("/objects", where, signal);
  });
  return (
    <>
      <search class="card row">
        {buckets.length > 1 && (
          <Select
            label={t("bucket")}
            options={buckets.map((name) => [name, name])}
            value={bucket.value}
            set={(name) => setQuery({ bucket: name, after: undefined })}
          />
        )}
        <div class="grow">
          <InputField
            label={t("prefix")}
            hint={t("prefixHint")}
            type="search"
            value={prefix.value}
            placeholder="2024/photos/"
            typing={search}
          />
        </div>
      </search>
      {all.some((each) => each.bucket === bucket.value && !each.takesUploads) ? (
        <NoUploads other={all.find(({ takesUploads }) => takesUploads)?.bucket} />
      ) : (
        <UploadDrop bucket={bucket.value} folder={prefix.value.replace(/[^/]*$/, "")} done={page.reload} />
      )}
      <Show of={page.state} reload={page.reload} lines={8}>
        {/* While those of another bucket are loaded, the images of the one before are shown. */}
        {({ bucket: own, objects, next }) => (
          <>
            {objects.length === 0 ? (
              <Empty title={prefix.value === "" ? t("noImages") : t("noImagesHere", { prefix: prefix.value })}>
                <p>{t("noImagesHint")}</p>
                {prefix.value !== "" && (
                  <Link href={pageOf(bucket.value, prefix.value)}>{t("pageOfKey", { key: prefix.value })}</Link>
                )}
              </Empty>
            ) : (
              <div class="tiles">
                {objects.map((object) => (
                  <Tile key={object.key} bucket={own} object={object} />
                ))}
              </div>
            )}
            <Pager next={next} />
          </>
        )}
      </Show>
    </>
  );
}

/** `other`: a bucket that takes uploads. */
function NoUploads({ other }: { readonly other: string | undefined }) {
  return (
    <p class="hint">
      {t("uploadRefused")}
      {other !== undefined && (
        <>
          {t("uploadElsewhere")}
          <Link href={`/images?${new URLSearchParams({ bucket: other })}`}>{other}</Link>
        </>
      )}
    </p>
  );
}

function Pager({ next }: { readonly next: string | undefined }) {
  const isFirst = !query.value.has("after");
  if (isFirst && next === undefined) return null;
  return (
    <nav class="row" aria-label={t("morePages")}>
      <Button
        label={t("firstVariants")}
        disabled={isFirst}
        run={() => setQuery({ after: undefined }, { replaces: false })}
      />
      <Button
        label={t("next")}
        disabled={next === undefined}
        run={() => setQuery({ after: next }, { replaces: false })}
      />
    </nav>
  );
}

const pageOf = (bucket: string, key: string) => `/images/one?${new URLSearchParams({ bucket, key })}`;

type StoredObject = ObjectPage["objects"][number];

/** Bounds of the thumbnail in pixels, twice the tile's. */
const THUMBNAIL = "imageView2/2/w/480/h/320";

function Tile({ bucket, object }: { readonly bucket: string; readonly object: StoredObject }) {
  const { key, size, width, height, format } = object;
  const isDrawn = useSignal(true);
  const nameAt = key.lastIndexOf("/") + 1;
  const facts = [format.toUpperCase(), width === undefined ? [] : `${width} × ${height}`, bytes(size)]
    .flat()
    .join(" · ");
  return (
    <Link class="tile" title={key} href={pageOf(bucket, key)}>
      <span class="picture">
        {isDrawn.value && (
          // The order counts: a browser loads at once when it gets the source.
          <img
            loading="lazy"
            decoding="async"
            src={urlOf("/objects/image", { bucket, key, instruction: THUMBNAIL })}
            alt=""
            onError={() => (isDrawn.value = false)}
          />
        )}
      </span>
      <span class="words">
        <span class="hint">{key.slice(0, nameAt)}</span>
        <strong>{key.slice(nameAt)}</strong>
        <span class="hint">{facts}</span>
      </span>
    </Link>
  );
}
