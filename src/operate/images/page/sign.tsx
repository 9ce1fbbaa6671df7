// Makes a signed URL or a token for an image.
import { type Signal, useSignal } from "@preact/signals";
import { post } from "../../console/api.ts";
import { submitting, useCall } from "../../console/load.ts";
import { type Option, Select } from "../../console/parts/fields.tsx";
import { Button, Card, Copied, ProblemNote } from "../../console/parts/parts.tsx";
import { duration, moment } from "../../console/text/format.ts";
import type { SignAnswer } from "../../signing/contract.ts";
import { type TextName, t } from "../words.ts";
import type { PreviewProps } from "./preview.tsx";

type Operation = SignAnswer["operation"];

const OPERATIONS: readonly (readonly [Operation, TextName])[] = [
  ["download", "signDownload"],
  ["upload", "signUpload"],
  ["copy", "signCopy"],
  ["delete", "signDelete"],
];
const DAY = 86_400;
/** Seconds. */
const LIVES = [3_600, DAY, 7 * DAY, 30 * DAY, 90 * DAY];
const ONCE = "once";

export function SignCard({ bucket, imageKey: key, instruction }: Omit<PreviewProps, "url" | "object">) {
  const operation = useSignal<Operation>("download");
  const signed = useSignal<SignAnswer | undefined>(undefined);
  const { problem, run } = useCall();
  const sign = submitting(async (data) => {
    const life = data.get("life");
    const once = operation.value === "download" && life === ONCE;
    const body = {
      ...{ bucket, key, operation: operation.value },
      ...(once && { once }),
      ...(life !== null && life !== ONCE && { expiresIn: Number(life) }),
      ...(data.has("processing") && instruction.value !== "" && { instruction: instruction.value }),
    };
    signed.value = await run(() => post<SignAnswer>("/sign", body));
  });
  return (
    <Card title={t("sign")} about={t("signAbout")}>
      <form class="stack" onSubmit={sign}>
        <Controls operation={operation} />
        {operation.value === "download" && (
          <label class="row one-line">
            <input type="checkbox" name="processing" disabled={instruction.value === ""} defaultChecked />
            <span>{t("signPreview")}</span>
          </label>
        )}
        <div>
          <Button label={t("signIt")} class="primary" />
        </div>
      </form>
      <div aria-live="polite" class="answer">
        {problem.value !== undefined && <ProblemNote problem={problem.value} />}
        {signed.value !== undefined && <Signed answer={signed.value} />}
      </div>
    </Card>
  );
}

function Controls({ operation }: { readonly operation: Signal<Operation> }) {
  const hasLife = operation.value === "download" || operation.value === "upload";
  const lives: readonly Option<number | string>[] = [
    ...LIVES.map((seconds) => [seconds, duration(seconds)] as const),
    ...(operation.value === "upload" ? [] : [[ONCE, t("once")] as const]),
  ];
  return (
    <div class="controls">
      <Select
        label={t("signFor")}
        options={OPERATIONS.map(([name, words]) => [name, t(words)])}
        value={operation.value}
        set={(name) => (operation.value = name)}
      />
      <Select name="life" label={t("validFor")} options={lives} disabled={!hasLife} />
    </div>
  );
}

function Signed({ answer: { url, token, expiresAt } }: { readonly answer: SignAnswer }) {
  return (
    <div class="stack">
      <p>{expiresAt === undefined ? t("validOnce") : t("validUntil", { when: moment(expiresAt) })}</p>
      {url !== undefined && <Copied about={t("signedUrl")} text={url} />}
      <Copied about={t("token")} text={token} />
    </div>
  );
}
