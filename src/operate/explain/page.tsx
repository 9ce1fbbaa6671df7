// The steps that a request for a pasted URL would take.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { post } from "../console/api.ts";
import { submitting, useCall } from "../console/load.ts";
import { InputField } from "../console/parts/fields.tsx";
import { Badge, Button, Card, ProblemNote, type Tone } from "../console/parts/parts.tsx";
import { failureText } from "../console/text/failures.ts";
import { duration } from "../console/text/format.ts";
import type { Explanation } from "./contract.ts";
import { type TextName, t } from "./words.ts";

export function Explain() {
  const answer = useSignal<Explanation | undefined>(undefined);
  const { problem, run } = useCall();
  const explain = submitting(async (data) => {
    answer.value = await run(() => post<Explanation>("/explain", { url: String(data.get("url")).trim() }));
  });
  return (
    <Card title={t("explain")} about={t("explainAbout")}>
      <form class="stack" onSubmit={explain}>
        <InputField label="URL" class="mono" name="url" required placeholder="http://images.example.com/a.jpg?sign=…" />
        <div>
          <Button label={t("explain")} class="primary" />
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
  return (
    <ol class="steps">
      {stepsOf(answer)
        .filter(([, text]) => text !== undefined)
        .map(([title, text, tone = "plain"], index) => (
          <li key={`${title} ${index}`}>
            <Badge tone={tone}>{t(title)}</Badge>
            <div>{text}</div>
          </li>
        ))}
    </ol>
  );
}

/** Without a text there is no such step. */
type Step = readonly [title: TextName, text: ComponentChildren, tone?: Tone | undefined];

/** In the order of the server. */
function stepsOf(answer: Explanation): readonly Step[] {
  const { domain, bucket, recipe, alias, referer = "off", token, rule, origin = [], answer: end } = answer;
  // An alias is a part of the URL, and the image that it processes has another key.
  const { original: key = answer.key, originalStored: stored = answer.stored } = answer;
  const named = alias === undefined ? "" : ` (${alias})`;
  return [
    ["domain", domain === undefined ? t("unknownDomain") : `${domain} → ${bucket}`],
    ["object", key && <code>{key}</code>],
    ["referer", REFERERS[referer] && t(REFERERS[referer]), referer === "refused" ? "bad" : "good"],
    ["token", token && tokenText(token), token?.verdict === "refused" ? "bad" : "good"],
    ["processing", recipe && [<code key="recipe">{recipe}</code>, named]],
    ["bucket", stored && storedText(stored), stored?.state === "object" ? "good" : "warn"],
    ["rule", rule && ruleText(rule)],
    ...origin.flatMap(originSteps),
    ["answer", end && answerText(end), end?.errNo === undefined ? "good" : "bad"],
  ];
}

function storedText({ state, isInMemory, isStale }: NonNullable<Explanation["stored"]>): string {
  const name = state === "object" ? "isStored" : state === "tombstone" ? "isTombstone" : "isAbsent";
  return [t(name), isInMemory && t("inMemory"), isStale && t("stale")].filter(Boolean).join(" · ");
}

function ruleText({ index, action }: NonNullable<Explanation["rule"]>): string {
  const name = index === undefined ? t("ruleOfDomain") : t("ruleNumber", { number: index + 1 });
  return `${name}: ${t(ACTIONS[action] ?? "doesNothing")}`;
}

function originSteps({ why, requests, refusal }: Origin): readonly Step[] {
  if (refusal !== undefined) return [["origin", wordsOf(refusal), "bad"]];
  return requests.map(({ method, url, isStandby, refusal: own }) => {
    const note = isStandby === true ? "isStandby" : WHYS[why];
    const hint = own === undefined ? note && t(note) : wordsOf(own);
    const text = [
      <code key="url">{`${method} ${url}`}</code>,
      <div key="hint" class="hint">
        {hint}
      </div>,
    ];
    return ["origin", text, own && "bad"];
  });
}

function answerText({ status, from, cacheControl, ...failure }: NonNullable<Explanation["answer"]>) {
  return (
    <>
      {status} {wordsOf(failure) ?? sourceOf(from)}
      {cacheControl !== undefined && <div class="hint mono">Cache-Control: {cacheControl}</div>}
    </>
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
const REFERERS: Readonly<Record<NonNullable<Explanation["referer"]>, TextName | undefined>> = {
  ...{ off: undefined, allowed: "isAllowed", listed: "isListed", refused: "isRefused" },
};
const SOURCES: Readonly<Record<string, TextName>> = {
  ...{ memory: "fromMemory", bucket: "fromStore", renderer: "fromRenderer", origin: "fromOrigin" },
};

/** Answers such as redirects have none. */
function sourceOf(tier: string): string | undefined {
  const name = SOURCES[tier];
  return name && t("answerFrom", { from: t(name) });
}

/** Undefined: it is no failure. */
const wordsOf = ({ code, message }: { readonly code?: string | undefined; readonly message?: string | undefined }) =>
  code === undefined ? undefined : failureText(code, message);

function tokenText({ verdict, expiresInSeconds, isSpent, ...failure }: Token): string | undefined {
  if (verdict === "off" || verdict === "refused") return wordsOf(failure);
  if (verdict === "unseen") return t("isUnseen");
  if (expiresInSeconds !== undefined) return t("goodFor", { time: duration(expiresInSeconds) });
  return t(isSpent === undefined ? "tokenGood" : isSpent ? "isSpent" : "isGoodOnce");
}
