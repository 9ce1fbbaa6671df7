// One bucket: its settings in the file, as a form with tabs, its keys, and an image to try it with.
import { useSignal } from "@preact/signals";
import type { CallbackTested } from "../../callbacks/contract.ts";
import { post } from "../../console/api.ts";
import { useCall } from "../../console/load.ts";
import { Badge, Button, Card, Empty, Page, ProblemNote } from "../../console/parts/parts.tsx";
import { go, Link, query } from "../../console/router.tsx";
import { milliseconds } from "../../console/text/format.ts";
import { listAt, textAt, valueAt } from "../../console/tree.ts";
import type { Form } from "../../settings/page/draft.ts";
import { Editor, type Settings, WithSettings } from "../../settings/page/editor.tsx";
import { SettingFields } from "../../settings/page/fields.tsx";
import { Keys } from "../../settings/page/keys.tsx";
import { t } from "../words.ts";
import { Processing } from "./aliases.tsx";
import { downloadCommand, keyOf, TestImage, UploadCommand } from "./test-image.tsx";
import { type BucketPlace, placeOf, testUrl } from "./tree.ts";

export function BucketPage() {
  const bucket = query.value.get("bucket") ?? "";
  const images = (
    <Link class="button" href={`/images?${new URLSearchParams({ bucket })}`}>
      {t("images")}
    </Link>
  );
  return (
    <Page title={bucket} about={t("bucketAbout")} actions={images}>
      <WithSettings>
        {(settings) => {
          const place = placeOf(settings.state.settings, bucket);
          return place === undefined ? (
            <Empty title={t("noSuchBucket", { bucket })}>
              <Link href="/buckets">{t("buckets")}</Link>
            </Empty>
          ) : (
            <Bucket settings={settings} place={place} />
          );
        }}
      </WithSettings>
    </Page>
  );
}

/** The settings that a tab has for itself; the tab of access has all others. */
const PROCESSING = ["aliases", "styles", "separators", "grammarEra", "processing", "originalProtection"];
const ANSWERS = ["notFound", "callback"];

interface BucketProps {
  readonly settings: Settings;
  readonly place: BucketPlace;
}

function Bucket({ settings, place }: BucketProps) {
  const { state, reread } = settings;
  const bucket = `${place.appid}/${place.name}`;
  const fields = (form: Form, keys: readonly string[]) => (
    <Card isStack>
      <SettingFields form={form} keys={keys} />
    </Card>
  );
  /** The page is that of the name. */
  const others = ({ schema }: Form) =>
    Object.keys(schema.properties ?? {}).filter((key) => ![...PROCESSING, ...ANSWERS, "domains", "name"].includes(key));
  return (
    <Editor
      key={bucket}
      settings={settings}
      path={place.path}
      title={bucket}
      view={query.value.get("view")}
      hrefOf={(view) => `/buckets/one?${new URLSearchParams({ bucket, view })}`}
      tabs={[
        {
          ...{ name: "domains", title: t("domains"), keys: ["domains"] },
          content: (form) => (
            <>
              {fields(form, ["domains"])}
              <Removal form={form} bucket={bucket} />
            </>
          ),
        },
        { name: "access", title: t("access"), content: (form) => fields(form, others(form)) },
        {
          ...{ name: "processing", title: t("processing"), keys: PROCESSING },
          content: (form) => (
            <Processing form={form} bucket={bucket}>
              {fields(form, PROCESSING.slice(2))}
            </Processing>
          ),
        },
        {
          ...{ name: "answersTab", title: t("answersTab"), keys: ANSWERS },
          content: (form) => (
            <>
              {fields(form, ANSWERS)}
              {form.value("callback") !== undefined && (
                <CallbackTest bucket={bucket} isChanged={form.review === undefined} />
              )}
            </>
          ),
        },
        {
          ...{ name: "keys", title: t("keys"), keys: [] },
          content: ({ isReadOnly }) => (
            <Keys appid={place.appid} isReadOnly={isReadOnly} file={state.file ?? ""} changed={reread} />
          ),
        },
        { name: "tryIt", title: t("tryIt"), keys: [], content: () => <TryIt tree={state.settings} place={place} /> },
      ]}
    />
  );
}

function Removal({ form: { isReadOnly, review }, bucket }: { readonly form: Form; readonly bucket: string }) {
  if (isReadOnly) return null;
  return (
    <div class="inset">
      <Button
        label={t("removeBucket")}
        class="danger"
        disabled={review === undefined}
        run={() =>
          review?.({ edit: { path: [] }, note: t("removeBucketNote", { bucket }), done: () => go("/buckets") })
        }
      />
    </div>
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

interface CallbackTestProps {
  readonly bucket: string;
  /** Whether the page has changes that are not saved. */
  readonly isChanged: boolean;
}

/** Sends a notice, marked as a test, to the server in the settings. */
function CallbackTest({ bucket, isChanged }: CallbackTestProps) {
  const answer = useSignal<CallbackTested | undefined>(undefined);
  const { problem, isRunning, run } = useCall();
  const test = async () => {
    answer.value = undefined;
    answer.value = await run(() => post<CallbackTested>("/callbacks/test", { bucket }));
  };
  return (
    <div class="stack" aria-live="polite">
      <div class="row">
        <Button
          label={t(isRunning.value ? "isTesting" : "testCallback")}
          disabled={isChanged || isRunning.value}
          run={test}
        />
        <span class="hint">{isChanged ? t("testAfterSaving") : t("testCallbackHint")}</span>
      </div>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      {answer.value !== undefined && <Tested answer={answer.value} />}
    </div>
  );
}

function Tested({
  answer: { delivered, reason, status, milliseconds: time, answer },
}: {
  readonly answer: CallbackTested;
}) {
  const why = [status === undefined ? [] : [`HTTP ${status}`], reason ?? [], milliseconds(time)].flat().join(" · ");
  return (
    <>
      <p>
        <Badge tone={delivered ? "good" : "bad"}>{delivered ? t("delivered") : t("notDelivered")}</Badge> {why}
      </p>
      {answer !== "" && <pre>{answer}</pre>}
    </>
  );
}
