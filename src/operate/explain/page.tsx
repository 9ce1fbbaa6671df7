// The steps that a request for a pasted URL would take.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { post } from "../console/api.ts";
import { useCall } from "../console/load.ts";
import { Field } from "../console/parts/fields.tsx";
import { Badge, Card, ProblemNote, type Tone } from "../console/parts/parts.tsx";
import { failureText } from "../console/text/failures.ts";
import { duration } from "../console/text/format.ts";
import type { Explanation } from "./contract.ts";
import { type TextName, t } from "./words.ts";

export function Explain() {
  const answer = useSignal<Explanation | undefined>(undefined);
  const { problem, run } = useCall();
  const explain = async (event: SubmitEvent) => {
    event.preventDefault();
    const url = String(new FormData(event.currentTarget as HTMLFormElement).get("url")).trim();
    answer.value = await run(() => post<Explanation>("/explain", { url }));
  };
  return (
    <Card title={t("explain")} about={t("explainAbout")}>
      <form class="stack" onSubmit={(event) => void explain(event)}>
        <Field
          label="URL"
          control={(properties) => (
            <input
              {...properties}
              class="mono"
              name="url"
              required
              placeholder="http://images.example.com/a.jpg?sign=…"
            />
          )}
        />
        <div>
          <button type="submit" class="primary">
            {t("explain")}
          </button>
        </div>
      </form>
      <div aria-live="polite">
        {problem.value !== undefined && <ProblemNote problem={problem.value} />}
        {answer.value !== undefined && <Steps answer={answer.value} />}
      </div>
    </Card>
  );
}

function Steps({ answer }: { readonly answer: Explanation }) {
  if (answer.isRestApi === true) return <p>{t("isRestApi")}</p>;
  if (answer.isHealthPath === true) return <p>{t("isHealthPath")}</p>;
  const { domain, bucket, recipe, alias, referer, token, rule, origin = [], answer: end } = answer;
  // An alias is a part of the URL, and the image that it processes has another key.
  const { original: key = answer.key, originalStored: stored = answer.stored } = answer;
  return (
    <ol class="steps">
      <Step title={t("domain")}>
        {domain === undefined ? t("unknownDomain") : domain}
        {bucket !== undefined && ` → ${bucket}`}
      </Step>
      {key !== undefined && (
        <Step title={t("object")}>
          <code>{key}</code>
        </Step>
      )}
      <AccessSteps referer={referer} token={token} />
      {recipe !== undefined && (
        <Step title={t("processing")}>
          <code>{recipe}</code> {alias !== undefined && `(${alias})`}
        </Step>
      )}
      <StoredStep stored={stored} />
      {rule !== undefined && (
        <Step title={t("rule")}>
          {rule.index === undefined ? t("ruleOfDomain") : t("ruleNumber", { number: rule.index + 1 })}
          {": "}
          {t(ACTIONS[rule.action] ?? "doesNothing")}
        </Step>
      )}
      <OriginSteps origin={origin} />
      {end !== undefined && (
        <Step title={t("answer")} tone={end.errNo === undefined ? "good" : "bad"}>
          {end.status} {wordsOf(end) ?? sourceOf(end.from)}
          {end.cacheControl !== undefined && <div class="hint mono">Cache-Control: {end.cacheControl}</div>}
        </Step>
      )}
    </ol>
  );
}

function StoredStep({ stored }: Pick<Explanation, "stored">) {
  if (stored === undefined) return null;
  const { state, isInMemory, isStale } = stored;
  const isStored = state === "object";
  return (
    <Step title={t("bucket")} tone={isStored ? "good" : "warn"}>
      {t(isStored ? "isStored" : state === "tombstone" ? "isTombstone" : "isAbsent")}
      {isInMemory && ` · ${t("inMemory")}`}
      {isStale === true && ` · ${t("stale")}`}
    </Step>
  );
}

function AccessSteps({ referer = "off", token }: Pick<Explanation, "referer" | "token">) {
  return (
    <>
      {referer !== "off" && (
        <Step title={t("referer")} tone={referer === "refused" ? "bad" : "good"}>
          {t(REFERERS[referer])}
        </Step>
      )}
      {token !== undefined && token.verdict !== "off" && (
        <Step title={t("token")} tone={token.verdict === "refused" ? "bad" : "good"}>
          {wordsOf(token) ?? validity(token)}
        </Step>
      )}
    </>
  );
}

function OriginSteps({ origin }: { readonly origin: NonNullable<Explanation["origin"]> }) {
  return origin.flatMap(({ why, key, requests, refusal }) =>
    refusal !== undefined
      ? [
          <Step key={`${why} ${key}`} title={t("origin")} tone="bad">
            {wordsOf(refusal)}
          </Step>,
        ]
      : requests.map(({ method, url, isStandby, refusal: own }) => (
          <Step key={url} title={t("origin")} tone={own === undefined ? "plain" : "bad"}>
            <code>
              {method} {url}
            </code>
            <div class="hint">
              {own === undefined ? noteOf(isStandby === true ? "isStandby" : WHYS[why]) : wordsOf(own)}
            </div>
          </Step>
        )),
  );
}

type Origin = NonNullable<Explanation["origin"]>[number];
type Token = NonNullable<Explanation["token"]>;

const ACTIONS: Readonly<Record<string, TextName>> = {
  ...{ mirror: "doesMirror", async: "doesAsync", redirect: "doesRedirect", none: "doesNothing" },
};
/** A miss is the usual case, and is said by the step of the bucket. */
const WHYS: Readonly<Record<Origin["why"], TextName | undefined>> = {
  ...{ miss: undefined, refresh: "whyRefresh", behind: "whyBehind" },
};
const REFERERS: Readonly<Record<NonNullable<Explanation["referer"]>, TextName>> = {
  ...{ off: "none", allowed: "isAllowed", listed: "isListed", refused: "isRefused" },
};
const SOURCES: Readonly<Record<string, TextName>> = {
  ...{ memory: "fromMemory", bucket: "fromStore", renderer: "fromRenderer", origin: "fromOrigin" },
};

/** Answers such as redirects have none. */
function sourceOf(tier: string): string | undefined {
  const name = SOURCES[tier];
  return name && t("answerFrom", { from: t(name) });
}

const noteOf = (name: TextName | undefined) => name && t(name);

/** Undefined: it is no failure. */
const wordsOf = ({ code, message }: { readonly code?: string | undefined; readonly message?: string | undefined }) =>
  code === undefined ? undefined : failureText(code, message);

function validity({ verdict, expiresInSeconds, isSpent }: Token): string {
  if (verdict === "unseen") return t("isUnseen");
  if (expiresInSeconds !== undefined) return t("goodFor", { time: duration(expiresInSeconds) });
  return t(isSpent === undefined ? "tokenGood" : isSpent ? "isSpent" : "isGoodOnce");
}

interface StepProps {
  readonly title: string;
  readonly tone?: Tone;
  readonly children?: ComponentChildren;
}

function Step({ title, tone = "plain", children }: StepProps) {
  return (
    <li>
      <Badge tone={tone}>{title}</Badge>
      <div>{children}</div>
    </li>
  );
}
