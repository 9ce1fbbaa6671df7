// The test of an origin before it is configured: what the doctor finds.
import { type Signal, useSignal } from "@preact/signals";
import type { DoctorEnd, DoctorLine } from "../answers.ts";
import { postLines } from "../api.ts";
import { TextField } from "../buckets/inputs.tsx";
import { useCall } from "../load.ts";
import { Badge, Card, CopyButton, ProblemNote, type Tone } from "../parts/parts.tsx";
import { findingText } from "../text/findings.ts";
import { type TextName, t } from "../text/text.ts";
import { type Answers, isOnSite, originOf } from "./scenarios.ts";

interface OriginTestProps {
  readonly answers: Answers;
  /** An image of the origin; the last step tries it too. */
  readonly sample: Signal<string>;
  /** False: the next step is shown already. */
  readonly isOpen: boolean;
  readonly next: () => void;
}

export function OriginTest({ answers, sample, isOpen, next }: OriginTestProps) {
  const findings = useSignal<readonly DoctorLine[]>([]);
  const end = useSignal<DoctorEnd | undefined>(undefined);
  const { problem, isRunning, run } = useCall();
  const test = () => {
    [findings.value, end.value] = [[], undefined];
    const take = (line: DoctorLine & { readonly end?: DoctorEnd }) => {
      if (line.end !== undefined) end.value = line.end;
      else findings.value = [...findings.value, line];
    };
    return run(() => postLines("/doctor", inputOf(answers, sample.value), take));
  };
  return (
    <Card title={t("testOrigin")} about={t("testOriginAbout")}>
      <div class="stack">
        <TextField
          label={t("sampleImage")}
          hint={isOnSite(answers.scenario) ? t("sampleImageHint") : t("sampleKeyHint")}
          value={sample.value}
          set={(value) => {
            sample.value = value;
          }}
          more={{ placeholder: "2015/a.jpg", class: "mono" }}
        />
        {problem.value !== undefined && <ProblemNote problem={problem.value} />}
        <div aria-live="polite">
          <Findings findings={findings.value} />
        </div>
        {!answers.allowPrivate && findings.value.some(isPrivate) && (
          <p class="note warn">{t("tickPrivate", { label: t("allowPrivate") })}</p>
        )}
        {!answers.usesQuery && findings.value.some(isByQuery) && (
          <p class="note warn">{t("tickQuery", { label: t("usesQuery") })}</p>
        )}
        {answers.referer === "" && findings.value.some(({ id }) => id === "referer") && (
          <p class="note warn">{t("fillReferer", { label: t("refererHeader") })}</p>
        )}
        {isRunning.value && <progress aria-label={t("isTesting")} />}
        {end.value !== undefined && <End end={end.value} />}
        <div class="row">
          <button
            type="button"
            class={end.value === undefined ? "primary" : ""}
            disabled={isRunning.value}
            onClick={() => void test()}
          >
            {isRunning.value ? t("isTesting") : t("testNow")}
          </button>
          {isOpen && (
            <button
              type="button"
              class={end.value === undefined ? "" : "primary"}
              disabled={isRunning.value}
              onClick={next}
            >
              {end.value === undefined ? t("skipTest") : t("showChanges")}
            </button>
          )}
        </div>
      </div>
    </Card>
  );
}

/** The doctor's words are those of the command, whose flag the wizard has as a field. */
const isPrivate = ({ code }: DoctorLine) => code === "origin_blocked";

const isByQuery = ({ id, severity }: DoctorLine) => id === "query" && severity === "warning";

function inputOf(answers: Answers, sample: string): object {
  const { scenario, url, hostHeader, referer, allowPrivate } = answers;
  const place = isOnSite(scenario) ? { url, host: hostHeader, referer } : { origin: originOf(answers) };
  return { ...place, allowPrivate, ...(sample !== "" && { samples: [sample] }) };
}

const SEVERITIES: Readonly<Record<DoctorLine["severity"], readonly [Tone, TextName]>> = {
  good: ["good", "isGood"],
  note: ["plain", "isInfo"],
  warning: ["warn", "isWarning"],
  problem: ["bad", "isProblem"],
};

function Findings({ findings }: { readonly findings: readonly DoctorLine[] }) {
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

function End({ end: { problem, warning, settings } }: { readonly end: DoctorEnd }) {
  return (
    <>
      <p>
        <strong>
          {problem > 0
            ? t("testFoundProblems", { count: problem })
            : warning > 0
              ? t("testFoundWarnings", { count: warning })
              : t("testIsGood")}
        </strong>
      </p>
      {settings !== undefined && (
        <details>
          <summary>{t("proposedSettings")}</summary>
          <pre>{settings}</pre>
          <CopyButton text={settings} />
        </details>
      )}
    </>
  );
}
