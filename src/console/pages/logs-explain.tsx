// The steps that a request for a pasted URL would take.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Explanation } from "../answers.ts";
import { Problem, post } from "../api.ts";
import { Badge, Card, Field, ProblemNote, type Tone } from "../parts/parts.tsx";
import { t } from "../text/text.ts";

export function Explain() {
  const answer = useSignal<Explanation | undefined>(undefined);
  const problem = useSignal<Problem | undefined>(undefined);
  const explain = async (event: SubmitEvent) => {
    event.preventDefault();
    const url = String(new FormData(event.currentTarget as HTMLFormElement).get("url")).trim();
    try {
      answer.value = await post<Explanation>("/explain", { url });
      problem.value = undefined;
    } catch (error) {
      answer.value = undefined;
      problem.value = error instanceof Problem ? error : new Problem(0);
    }
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
      {stored !== undefined && (
        <Step title={t("bucket")} tone={stored.state === "object" ? "good" : "warn"}>
          {t(stored.state === "object" ? "isStored" : stored.state === "tombstone" ? "isTombstone" : "isAbsent")}
          {stored.isInMemory && ` · ${t("inMemory")}`}
        </Step>
      )}
      {rule !== undefined && (
        <Step title={t("rule")}>
          {rule.type} · {rule.action}
        </Step>
      )}
      <OriginSteps origin={origin} />
      {end !== undefined && (
        <Step title={t("answer")} tone={end.errNo === undefined ? "good" : "bad"}>
          {end.status} {end.message ?? t("answerFrom", { from: end.from })}
          {end.cacheControl !== undefined && <div class="hint mono">Cache-Control: {end.cacheControl}</div>}
        </Step>
      )}
    </ol>
  );
}

function AccessSteps({ referer = "off", token }: Pick<Explanation, "referer" | "token">) {
  return (
    <>
      {referer !== "off" && (
        <Step title="Referer" tone={referer === "refused" ? "bad" : "good"}>
          {referer}
        </Step>
      )}
      {token !== undefined && token.verdict !== "off" && (
        <Step title={t("token")} tone={token.verdict === "refused" ? "bad" : "good"}>
          {token.message ?? token.kind ?? token.verdict}
        </Step>
      )}
    </>
  );
}

function OriginSteps({ origin }: { readonly origin: NonNullable<Explanation["origin"]> }) {
  return origin.flatMap(({ requests, refusal }) =>
    refusal !== undefined
      ? [
          <Step key="refused" title={t("origin")} tone="bad">
            {refusal.message}
          </Step>,
        ]
      : requests.map(({ method, url }) => (
          <Step key={url} title={t("origin")}>
            <code>
              {method} {url}
            </code>
          </Step>
        )),
  );
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
