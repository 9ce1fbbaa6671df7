// One bucket: its settings in the file, as a form. Changes are collected, shown as a diff, and saved at once.
import { type Signal, signal, useSignal } from "@preact/signals";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Card, Empty, Page, Show } from "../../console/parts/parts.tsx";
import { go, Link, query } from "../../console/router.tsx";
import { listAt, textAt, valueAt } from "../../console/tree.ts";
import type { SettingsApplied, SettingsState } from "../../settings/contract.ts";
import { type TextName, t } from "../words.ts";
import { Access } from "./access.tsx";
import { Processing } from "./aliases.tsx";
import { Answers } from "./bucket-answers.tsx";
import { Domains } from "./domains.tsx";
import {
  changesIn,
  type Draft,
  drafted,
  editsOf,
  isRemoved,
  movedPath,
  NO_DRAFT,
  withRemoved,
  withSet,
} from "../../settings/page/draft.ts";
import type { Form } from "../../settings/page/fields.tsx";
import { Keys } from "../../settings/page/keys.tsx";
import { type Faulty, faultText, Review, SettingsNotes } from "../../settings/page/review.tsx";
import { downloadCommand, keyOf, TestImage, UploadCommand } from "./test-image.tsx";
import { type BucketPlace, faultAt, placeOf, testUrl } from "./tree.ts";

export function BucketPage() {
  const bucket = query.value.get("bucket") ?? "";
  const settings = useLoaded((signal) => get<SettingsState>("/settings", {}, signal));
  const isRemoving = useSignal(false);
  const images = (
    <Link class="button" href={`/images?${new URLSearchParams({ bucket })}`}>
      {t("images")}
    </Link>
  );
  return (
    <Page title={bucket} about={t("bucketAbout")} actions={images}>
      <Show of={settings.state} reload={settings.reload} lines={8}>
        {(state) => {
          const place = placeOf(state.settings, bucket);
          return (
            <>
              <SettingsNotes state={state} />
              {place === undefined ? (
                <Empty title={t("noSuchBucket", { bucket })}>
                  <Link href="/buckets">{t("buckets")}</Link>
                </Empty>
              ) : isRemoving.value ? (
                <Removal
                  state={state}
                  place={place}
                  reread={settings.reload}
                  cancel={() => (isRemoving.value = false)}
                />
              ) : (
                <>
                  <Bucket state={state} place={place} reread={settings.reload} />
                  {state.readOnly === undefined && (
                    <div class="inset">
                      <button type="button" class="danger" onClick={() => (isRemoving.value = true)}>
                        {t("removeBucket")}
                      </button>
                    </div>
                  )}
                </>
              )}
            </>
          );
        }}
      </Show>
    </Page>
  );
}

const VIEWS = ["domains", "access", "processing", "answersTab", "keys", "tryIt"] as const satisfies readonly TextName[];

interface BucketProps {
  readonly state: SettingsState;
  readonly place: BucketPlace;
  readonly reread: () => void;
}

function Removal({ state: { version = "" }, place, reread, cancel }: BucketProps & { readonly cancel: () => void }) {
  const bucket = `${place.appid}/${place.name}`;
  return (
    <Review
      version={version}
      edits={[{ path: place.path }]}
      reread={reread}
      done={() => {
        drafts.delete(bucket);
        go("/buckets");
      }}
      cancel={cancel}
      note={t("removeBucketNote", { bucket })}
    />
  );
}

/** By bucket, so that a look at another page loses no change. */
const drafts = new Map<string, Signal<Draft>>();

function draftOf(bucket: string): Signal<Draft> {
  const draft = drafts.get(bucket) ?? signal(NO_DRAFT);
  drafts.set(bucket, draft);
  return draft;
}

function Bucket({ state, place, reread }: BucketProps) {
  const bucket = `${place.appid}/${place.name}`;
  const draft = draftOf(bucket);
  const applied = useSignal<SettingsApplied | undefined>(undefined);
  const faults = useSignal<Faulty>([]);
  const view = VIEWS.find((name) => name === query.value.get("view")) ?? "domains";
  const form = formOf(state, place, { draft, applied, faults });
  return (
    <>
      <nav class="tabs" aria-label={bucket}>
        {VIEWS.map((name) => (
          <Link
            key={name}
            href={`/buckets/one?${new URLSearchParams({ bucket, view: name })}`}
            aria-current={name === view ? "page" : undefined}
          >
            {t(name)}
          </Link>
        ))}
      </nav>
      {view === "domains" && <Domains form={form} />}
      {view === "access" && <Access form={form} />}
      {view === "processing" && <Processing form={form} bucket={bucket} />}
      {view === "answersTab" && <Answers form={form} bucket={bucket} isChanged={changesIn(draft.value) > 0} />}
      {view === "keys" && (
        <Keys appid={place.appid} isReadOnly={form.isReadOnly} file={state.file ?? ""} changed={reread} />
      )}
      {view === "tryIt" && <TryIt tree={state.settings} place={place} />}
      <Changes state={state} place={place} reread={reread} draft={draft} applied={applied} faults={faults} />
    </>
  );
}

function TryIt({ tree, place }: { readonly tree: unknown; readonly place: BucketPlace }) {
  const bucket = `${place.appid}/${place.name}`;
  const own = valueAt(tree, place.path);
  const typed = useSignal("");
  const url = (key: string) => testUrl(tree, place, key);
  const needsToken = textAt(own, ["token"]) === "required";
  const hasUploads = textAt(own, ["access"], "upload-download") !== "download";
  const hasOrigin = listAt(own, ["domains"]).some((domain) => listAt(domain, ["mirror", "origins"]).length > 0);
  const key = keyOf(typed.value);
  return (
    <>
      {(hasOrigin || !hasUploads) && (
        <Card title={t("tryIt")} about={t("tryItAbout")}>
          <TestImage bucket={bucket} typed={typed} url={url} needsToken={needsToken} />
        </Card>
      )}
      {hasUploads && (
        <UploadCommand
          bucket={bucket}
          tree={tree}
          download={key === "" || needsToken ? undefined : downloadCommand(tree, url(key))}
        />
      )}
    </>
  );
}

interface Changed {
  readonly draft: Signal<Draft>;
  /** The answer to the last save. */
  readonly applied: Signal<SettingsApplied | undefined>;
  /** The faults of the draft; none before its review. */
  readonly faults: Signal<Faulty>;
}

function formOf(state: SettingsState, { path }: BucketPlace, { draft, applied, faults }: Changed): Form {
  const own = valueAt(state.settings, path);
  const tree = drafted(own, draft.value);
  const change = (next: Draft) => {
    draft.value = next;
    applied.value = undefined;
    faults.value = [];
  };
  return {
    value: (...inner) => valueAt(tree, inner),
    set: (inner, value, standard) => change(withSet(draft.value, own, { path: inner, value }, standard)),
    reset: (inner) => change(withSet(draft.value, own, { path: inner, value: valueAt(own, inner) })),
    remove: (inner) => change(withRemoved(draft.value, own, inner)),
    isRemoved: (inner) => isRemoved(draft.value, inner),
    fault: (inner) => faultText(faultAt(faults.value, [...path, ...movedPath(draft.value, inner)])),
    isReadOnly: state.readOnly !== undefined || state.version === undefined,
  };
}

type ChangesProps = BucketProps & Changed;

/** The bar at the foot of the page, and above it the diff. */
function Changes({ state: { version = "" }, place, reread, draft, applied, faults }: ChangesProps) {
  const isReviewed = useSignal(false);
  const count = changesIn(draft.value);
  if (applied.value !== undefined && count === 0)
    return (
      <p class={`note ${applied.value.isInForce ? "good" : "warn"}`} role="status">
        {applied.value.isInForce ? t("savedInForce") : t("isNotInForce")}
      </p>
    );
  if (count === 0) return null;
  const edits = editsOf(draft.value).map((edit) => ({ ...edit, path: [...place.path, ...edit.path] }));
  const drop = () => {
    draft.value = NO_DRAFT;
    faults.value = [];
    isReviewed.value = false;
  };
  if (isReviewed.value)
    return (
      <Review
        version={version}
        edits={edits}
        reread={reread}
        done={(answer) => {
          applied.value = answer;
          drop();
          reread();
        }}
        cancel={() => (isReviewed.value = false)}
        faulty={(found) => (faults.value = found)}
      />
    );
  return (
    <div class="bar" role="status">
      <span>{count === 1 ? t("oneChange") : t("manyChanges", { count })}</span>
      <div class="row">
        <button type="button" class="primary" onClick={() => (isReviewed.value = true)}>
          {t("showChanges")}
        </button>
        <button type="button" onClick={drop}>
          {t("discard")}
        </button>
      </div>
    </div>
  );
}
