// A new bucket by one of four scenarios: a few fields, a test of the origin, the diff, and a URL to try.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get } from "../../console/api.ts";
import { submitting, useLoaded } from "../../console/load.ts";
import { Select } from "../../console/parts/fields.tsx";
import { Button, Card, Copied, Page, Show } from "../../console/parts/parts.tsx";
import { Link } from "../../console/router.tsx";
import { listAt, textAt } from "../../console/tree.ts";
import type { SettingsApplied, SettingsState } from "../../settings/contract.ts";
import { type Faulty, inLanguage, Reveal, Review, SettingsNotes } from "../../settings/page/review.tsx";
import { downloadCommand, keyOf, TestImage, UploadCommand } from "../page/test-image.tsx";
import { defaultDomain, placesOf, testUrl } from "../page/tree.ts";
import { type TextName, t } from "../words.ts";
import { AnswerField, type AnswersProps, OriginFields } from "./origin-fields.tsx";
import { OriginTest } from "./origin-test.tsx";
import {
  type Answers,
  bareHost,
  editsOfAnswers,
  faultOf,
  isOnSite,
  isUploaded,
  NO_ANSWERS,
  placeOfAnswers,
  SCENARIOS,
  type Scenario,
} from "./scenarios.ts";

export function WizardPage() {
  const settings = useLoaded((signal) => get<SettingsState>("/settings", {}, signal));
  const saved = useSignal<FirstImageProps | undefined>(undefined);
  if (saved.value !== undefined) return <FirstImagePage {...saved.value} />;
  return (
    <Page title={t("newBucket")} about={t("newBucketAbout")}>
      <Show of={settings.state} reload={settings.reload} lines={8}>
        {(state) => (
          <>
            <SettingsNotes state={state} />
            {state.version !== undefined && state.readOnly === undefined && (
              <Wizard state={state} version={state.version} reread={settings.reload} saved={saved} />
            )}
          </>
        )}
      </Show>
    </Page>
  );
}

interface WizardProps {
  readonly state: SettingsState;
  readonly version: string;
  readonly reread: () => void;
  readonly saved: Signal<FirstImageProps | undefined>;
}

/** One step more is shown when the one before is done. */
type Step = "fields" | "test" | "review" | "done";

function Wizard({ state: { settings: tree }, version, reread, saved }: WizardProps) {
  const appids = listAt(tree, ["projects"]).map((project) => textAt(project, ["appid"]));
  const answers = useSignal<Answers>({ ...NO_ANSWERS, appid: appids[0] ?? "", bucket: freeName(tree, "photos") });
  const step = useSignal<Step>("fields");
  const sample = useSignal("");
  const faults = useSignal<Faulty>([]);
  const form = useRef<HTMLFormElement>(null);
  const set = (change: Partial<Answers>) => {
    // A field tells its text again when it is left.
    if (Object.entries(change).every(([name, value]) => answers.value[name as keyof Answers] === value)) return;
    answers.value = { ...answers.value, ...change };
    if (step.value === "review") step.value = "test";
    faults.value = [];
  };
  useEffect(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), [faults.value]);
  const edits = editsOfAnswers(tree, answers.value);
  const fault = (name: keyof Answers) => {
    const found = faultOf(faults.value, edits, name);
    const isPrivate = found?.message.includes("allowPrivate");
    return isPrivate ? t("tickPrivate", { label: t("allowPrivate") }) : found && inLanguage(found);
  };
  const check = () => form.current?.reportValidity() === true;
  const advance = submitting(() => {
    if (check()) step.value = "test";
  });
  const fields: AnswersProps = { answers: answers.value, set, fault };
  return (
    <div class="stack">
      <Scenarios value={answers.value.scenario} set={(scenario) => set({ scenario })} />
      <form ref={form} class="stack" onSubmit={advance}>
        <Card title={t("mirrorSource")} about={t("mirrorSourceAbout")}>
          <OriginFields {...fields} />
        </Card>
        <Card title={t("bucketAndDomain")}>
          <BucketFields {...fields} appids={appids} tree={tree} />
        </Card>
        {step.value === "fields" && (
          <div>
            <Button label={t("continue")} class="primary" />
          </div>
        )}
      </form>
      {step.value !== "fields" && (
        <Reveal>
          <OriginTest
            answers={answers.value}
            set={set}
            sample={sample}
            isOpen={step.value === "test"}
            check={check}
            next={() => (step.value = "review")}
          />
        </Reveal>
      )}
      {step.value === "review" && (
        <Review
          version={version}
          edits={edits}
          reread={reread}
          done={(applied) => {
            saved.value = {
              applied,
              answers: answers.value,
              tree,
              sample: sample.value,
            };
            scrollTo(0, 0);
          }}
          cancel={() => {
            step.value = "fields";
            scrollTo(0, 0);
          }}
          faulty={(found) => {
            faults.value = found;
            // Faults that are all beside fields need no list.
            const names = Object.keys(answers.value) as (keyof Answers)[];
            const shown = new Set(names.map((name) => faultOf(found, edits, name)));
            if (found.length > 0 && found.every((each) => shown.has(each))) step.value = "test";
          }}
        />
      )}
    </div>
  );
}

function freeName(tree: unknown, wanted: string): string {
  const names = new Set(placesOf(tree).map(({ name }) => name));
  let name = wanted;
  for (let turn = 2; names.has(name); turn += 1) name = `${wanted}-${turn}`;
  return name;
}

const NAMES: Readonly<Record<Scenario, readonly [TextName, TextName]>> = {
  1: ["scenario1", "scenario1Hint"],
  2: ["scenario2", "scenario2Hint"],
  3: ["scenario3", "scenario3Hint"],
  4: ["scenario4", "scenario4Hint"],
};

function Scenarios({ value, set }: { readonly value: Scenario; readonly set: (scenario: Scenario) => void }) {
  return (
    <Card title={t("scenario")}>
      <fieldset class="halves">
        <legend class="visually-hidden">{t("scenario")}</legend>
        {SCENARIOS.map((scenario) => (
          <label key={scenario} class="choice">
            <input type="radio" name="scenario" checked={scenario === value} onChange={() => set(scenario)} />
            <span>
              <strong>{t(NAMES[scenario][0])}</strong>
              <span class="hint block">{t(NAMES[scenario][1])}</span>
            </span>
          </label>
        ))}
      </fieldset>
    </Card>
  );
}

interface BucketFieldsProps extends AnswersProps {
  readonly appids: readonly string[];
  readonly tree: unknown;
}

/** A host name or `*`; the server knows more of it. */
const HOST = "[^\\s:\\/]+";
const BUCKET_NAME = "[a-z0-9]([a-z0-9\\-]{0,62}[a-z0-9])?";

function BucketFields({ appids, tree, ...props }: BucketFieldsProps) {
  const { answers, set } = props;
  const { scenario, appid } = answers;
  const isSplit = isUploaded(scenario) && isOnSite(scenario);
  const own = defaultDomain(tree, { appid, name: answers.uploadBucket });
  return (
    <div class="halves">
      {appids.length > 1 && (
        <Select
          label={t("project")}
          options={appids.map((each) => [each, each])}
          value={appid}
          set={(chosen) => set({ appid: chosen })}
        />
      )}
      <AnswerField
        {...props}
        name="bucket"
        {...(isSplit && { label: t("oldBucket") })}
        more={{ required: true, pattern: BUCKET_NAME }}
      />
      <AnswerField
        {...props}
        name="host"
        {...(isSplit && { label: t("oldDomain") })}
        tidy={bareHost}
        more={{ placeholder: "img.example.com", pattern: HOST }}
      />
      {isSplit && (
        <>
          <AnswerField {...props} name="uploadBucket" more={{ required: true, pattern: BUCKET_NAME }} />
          <AnswerField
            {...props}
            name="uploadHost"
            label={t("newDomain")}
            hint={t("newDomainHint", { own })}
            tidy={bareHost}
            more={{ placeholder: "img2.example.com", pattern: HOST }}
          />
        </>
      )}
    </div>
  );
}

interface FirstImageProps {
  readonly applied: SettingsApplied;
  readonly answers: Answers;
  readonly tree: unknown;
  readonly sample: string;
}

/** The last step: the bucket is in force, so its first image is fetched, and has a URL to copy. */
function FirstImagePage({ applied: { isInForce }, answers, tree, sample }: FirstImageProps) {
  const place = placeOfAnswers(answers);
  const bucket = `${place.appid}/${place.name}`;
  const hasUploads = isUploaded(answers.scenario);
  const isSplit = hasUploads && isOnSite(answers.scenario);
  const uploads = isSplit ? `${place.appid}/${answers.uploadBucket}` : bucket;
  const host = answers.host || defaultDomain(tree, place);
  const typed = useSignal(keyOf(sample));
  const url = (key: string) => testUrl(tree, place, key);
  const tried = new URL(url(keyOf(typed.value) || "2015/a.jpg"));
  tried.hostname = host;
  const download = downloadCommand(tree, tried.href);
  const pageOf = (path: string, of: string) => `${path}?${new URLSearchParams({ bucket: of })}`;
  return (
    <Page title={isInForce ? t("ready", { host }) : t("newBucket")}>
      <p class={`note ${isInForce ? "good" : "warn"}`} role="status">
        {!isInForce ? t("isNotInForce") : t(isSplit ? "areInForce" : "isInForce", { bucket, uploads })}
      </p>
      <Card title={t("tryIt")} about={t("tryItAbout")}>
        <TestImage bucket={bucket} typed={typed} url={url} needsToken={false} />
      </Card>
      <Card title={t("whatNext")}>
        <ul>
          {answers.host !== "" && (
            <li>
              {t("nextDns", { host })}
              <Copied text={download} />
            </li>
          )}
          {hasUploads && (
            <li>
              {t("nextUpload")}
              <Link href={pageOf("/images", uploads)}>{t("upload")}</Link>
            </li>
          )}
          <li>
            {t("nextSettings")}
            <Link href={pageOf("/buckets/one", bucket)}>{bucket}</Link>
          </li>
        </ul>
      </Card>
      {hasUploads && (
        <UploadCommand bucket={uploads} tree={tree} download={answers.host === "" ? download : undefined} />
      )}
    </Page>
  );
}
