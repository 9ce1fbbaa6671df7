// The test of an origin before it is configured: what the doctor finds.
import { type Signal, useSignal } from "@preact/signals";
import { postLines } from "../../console/api.ts";
import { useCall } from "../../console/load.ts";
import { TextField } from "../../console/parts/fields.tsx";
import { Badge, Button, Card, ProblemNote, type Tone } from "../../console/parts/parts.tsx";
import type { DoctorEnd, DoctorLine } from "../../doctor/contract.ts";
import { findingText } from "../../doctor/words.ts";
import { Reveal } from "../../settings/page/review.tsx";
import { type TextName, t } from "../words.ts";
import { type Answers, isOnSite, isSite, originOf } from "./scenarios.ts";

interface OriginTestProps {
  readonly answers: Answers;
  readonly set: (change: Partial<Answers>) => void;
  /** An image of the origin; the last step tries it too. */
  readonly sample: Signal<string>;
  /** False: the next step is shown already. */
  readonly isOpen: boolean;
  /** False, with words beside a field, if the answers cannot be tested. */
  readonly check: () => boolean;
  readonly next: () => void;
}

export function OriginTest({ answers, set, sample, isOpen, check, next }: OriginTestProps) {
  const findings = useSignal<readonly DoctorLine[]>([]);
  const end = useSignal<DoctorEnd | undefined>(undefined);
  const tested = useSignal("");
  const { problem, isRunning, run } = useCall();
  const test = (tried = answers) => {
    if (!check()) return;
    [findings.value, end.value] = [[], undefined];
    const input = inputOf(tried, sample.value);
    tested.value = JSON.stringify(input);
    const take = (line: DoctorLine & { readonly end?: DoctorEnd }) => {
      if (line.end !== undefined) end.value = line.end;
      else findings.value = [...findings.value, line];
    };
    void run(() => postLines("/doctor", input, take));
  };
  const isChanged = tested.value !== "" && tested.value !== JSON.stringify(inputOf(answers, sample.value));
  // The settings refuse an address in figures; a name is refused when it is dialled.
  const isRefused = problem.value?.message.includes("allowPrivate") === true || findings.value.some(isPrivate);
  const isBlocked = isRefused && !answers.allowPrivate && !isRunning.value;
  const isDone = end.value !== undefined && end.value.problem === 0 && !isChanged;
  return (
    <Card title={t("testOrigin")} about={t("testOriginAbout")} isStack>
      <SampleField sample={sample} hint={isOnSite(answers.scenario) ? t("sampleImageHint") : t("sampleKeyHint")} />
      {problem.value !== undefined && !isBlocked && <ProblemNote problem={problem.value} />}
      {isRunning.value && <progress aria-label={t("isTesting")} />}
      {end.value !== undefined && <Verdict end={end.value} findings={findings.value} />}
      {isBlocked && (
        <div class="note warn">
          <p>{t("privateRefused")}</p>
          <div>
            <Button
              label={t("allowAndTest")}
              class="primary"
              run={() => {
                set({ allowPrivate: true });
                test({ ...answers, allowPrivate: true });
              }}
            />
          </div>
        </div>
      )}
      <Findings findings={findings.value} />
      {end.value?.settings !== undefined && (
        <details>
          <summary>{t("proposedSettings")}</summary>
          <pre>{end.value.settings}</pre>
        </details>
      )}
      <div class="row">
        <Button
          label={isRunning.value ? t("isTesting") : tested.value === "" ? t("testNow") : t("testAgain")}
          class={isDone ? "" : "primary"}
          disabled={isRunning.value}
          run={() => test()}
        />
        {isOpen && (
          <Button
            label={end.value === undefined ? t("skipTest") : t("showChanges")}
            class={isDone ? "primary" : ""}
            disabled={isRunning.value}
            run={() => check() && next()}
          />
        )}
        {isChanged && !isRunning.value && <Badge tone="warn">{t("testChanged")}</Badge>}
      </div>
    </Card>
  );
}

function SampleField({ sample, hint }: { readonly sample: Signal<string>; readonly hint: string }) {
  return (
    <TextField
      label={t("sampleImage")}
      hint={hint}
      value={sample.value}
      set={(value) => (sample.value = value)}
      more={{ placeholder: "2015/a.jpg", class: "mono" }}
    />
  );
}

const isPrivate = ({ code }: DoctorLine) => code === "origin_blocked";

const isAbsent = ({ id, code }: DoctorLine) => id === "image" && code === "absent";

function inputOf(answers: Answers, sample: string): object {
  const { url, hostHeader, referer, allowPrivate } = answers;
  const place = isSite(answers) ? { url, host: hostHeader, referer } : { origin: originOf(answers) };
  return { ...place, allowPrivate, ...(sample !== "" && { samples: [sample] }) };
}

interface VerdictProps {
  readonly end: DoctorEnd;
  readonly findings: readonly DoctorLine[];
}

function Verdict({ end: { problem, warning }, findings }: VerdictProps) {
  const isImage = findings.some(({ id, severity }) => id === "image" && severity === "good");
  const [words, hint] = ((): readonly [string, string?] => {
    if (!isImage && findings.some(isAbsent)) return [t("sampleAbsent")];
    if (problem > 0) return [t("testFoundProblems", { count: problem })];
    if (!isImage) return [t("noImageTested"), t("noImageTestedHint")];
    return [warning > 0 ? t("testFoundWarnings", { count: warning }) : t("testIsGood")];
  })();
  return (
    <Reveal>
      <div role="status">
        <strong>{words}</strong>
        {hint !== undefined && <p>{hint}</p>}
      </div>
    </Reveal>
  );
}

const SEVERITIES: Readonly<Record<DoctorLine["severity"], readonly [Tone, TextName]>> = {
  good: ["good", "isGood"],
  note: ["plain", "isInfo"],
  warning: ["warn", "isWarning"],
  problem: ["bad", "isProblem"],
};

/** Problems come first, and passed checks are folded. The verdict tells of an absent sample. */
function Findings({ findings }: { readonly findings: readonly DoctorLine[] }) {
  const passed = findings.filter(({ severity }) => severity === "good");
  const isTold = findings.some(isAbsent);
  const others = (["problem", "warning", "note"] as const).flatMap((severity) =>
    findings.filter((line) => line.severity === severity && !(isTold && line.id === "sample")),
  );
  return (
    <div class="stack" aria-live="polite">
      {others.length > 0 && <Rows findings={others} />}
      {passed.length > 0 && (
        <details>
          <summary>{t("checksPassed", { count: passed.length })}</summary>
          <Rows findings={passed} />
        </details>
      )}
    </div>
  );
}

function Rows({ findings }: { readonly findings: readonly DoctorLine[] }) {
  return (
    <ul class="attention">
      {findings.map((line) => {
        const { title, more } = findingText(line);
        return (
          <li key={`${line.id} ${line.found}`}>
            <Badge tone={SEVERITIES[line.severity][0]}>{t(SEVERITIES[line.severity][1])}</Badge>
            <div>
              {title}
              {more !== undefined && <p class="hint">{more}</p>}
            </div>
          </li>
        );
      })}
    </ul>
  );
}
