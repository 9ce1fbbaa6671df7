// The diff of the settings file, which is always shown before edits are saved.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { post } from "../../console/api.ts";
import { useCall, useLoaded } from "../../console/load.ts";
import { Button, Card, ProblemNote, Show } from "../../console/parts/parts.tsx";
import { language } from "../../console/text/text.ts";
import type { SettingsApplied, SettingsProposal, SettingsState } from "../contract.ts";
import { t } from "../words.ts";
import type { Edit } from "./draft.ts";

interface ReviewProps {
  readonly version: string;
  readonly edits: readonly Edit[];
  /** The file was changed by someone else: read it again. */
  readonly reread: () => void;
  readonly done: (applied: SettingsApplied) => void;
  readonly cancel: () => void;
  /** Takes the faults of the proposed file; there may be none. */
  readonly faulty?: (faults: Faulty) => void;
  /** Shows the field of a fault; undefined if the page has none. */
  readonly toField?: (fault: Faulty[number]) => (() => void) | undefined;
  /** A consequence that the diff does not show. */
  readonly note?: string;
}

export type Faulty = SettingsProposal["faults"];

/** It comes into view, and proposes anew when the edits or the file are others. */
export function Review(props: ReviewProps) {
  return (
    <Reveal>
      <Proposed key={`${props.version} ${JSON.stringify(props.edits)}`} {...props} />
    </Reveal>
  );
}

function Proposed({ version, edits, reread, done, cancel, faulty, toField, note }: ReviewProps) {
  const proposal = useLoaded(async (signal) => {
    const answer = await post<SettingsProposal>("/settings/propose", { version, edits }, signal);
    if (!signal.aborted) faulty?.(answer.faults);
    return answer;
  });
  const { problem, isRunning, run } = useCall();
  const apply = async () => {
    const answer = await run(() => post<SettingsApplied>("/settings/apply", { version, edits }));
    if (answer !== undefined) done(answer);
  };
  const failed = problem.value ?? proposal.state.value.problem;
  if (failed?.status === 409) return <Changed reread={reread} />;
  const { value } = proposal.state.value;
  const canSave = value !== undefined && value.faults.length === 0 && !isRunning.value;
  return (
    <Card title={t("review")} about={t("reviewAbout")} isStack>
      {note !== undefined && <p class="note warn">{note}</p>}
      <Show of={proposal.state} reload={proposal.reload}>
        {(answer) => <Proposal proposal={answer} toField={toField} />}
      </Show>
      {problem.value !== undefined && <ProblemNote problem={problem.value} />}
      <div class="row">
        <Button label={t(isRunning.value ? "saving" : "save")} class="primary" disabled={!canSave} run={apply} />
        <Button label={t("backToForm")} run={cancel} />
      </div>
    </Card>
  );
}

function Changed({ reread }: { readonly reread: () => void }) {
  return (
    <div class="note warn" role="alert">
      <p>{t("changedMeanwhile")}</p>
      <div class="row">
        <Button label={t("readAgain")} run={reread} />
      </div>
    </div>
  );
}

interface ProposalProps {
  readonly proposal: SettingsProposal;
  readonly toField: ReviewProps["toField"];
}

function Proposal({ proposal: { diff, faults, warnings, needsRestart }, toField }: ProposalProps) {
  return (
    <div class="stack">
      {faults.length > 0 && (
        <div class="note bad" role="alert">
          <strong>{t("hasFaults")}</strong>
          <Faults faults={faults} toField={toField} />
        </div>
      )}
      {warnings.length > 0 && <Warnings warnings={warnings} />}
      {needsRestart.length > 0 && <p class="note warn">{t("needsRestart", { settings: needsRestart.join(", ") })}</p>}
      <Diff lines={diff} />
    </div>
  );
}

function Warnings({ warnings }: Pick<SettingsState, "warnings">) {
  return (
    <div class="note warn">
      <strong>{t("hasWarnings")}</strong>
      <ul>
        {warnings.map((warning) => (
          <li key={warning}>{warning}</li>
        ))}
      </ul>
    </div>
  );
}

/** For the field beside which it stands. */
export function faultText(fault: Faulty[number] | undefined): string | undefined {
  return fault && `${t("line", { line: fault.line })} ${inLanguage(fault)}`;
}

/** The words of a fault in the reader's language. */
export const inLanguage = ({ message, zh }: Faulty[number]) => (language.value === "zh" ? zh : message);

function Faults({ faults, toField }: { readonly faults: Faulty; readonly toField?: ReviewProps["toField"] }) {
  return (
    <ul>
      {faults.map((fault) => {
        const show = toField?.(fault);
        return (
          <li key={`${fault.path} ${fault.message}`}>
            {t("line", { line: fault.line })} <code>{fault.path}</code> {inLanguage(fault)}{" "}
            {show !== undefined && <Button label={t("toField")} class="quiet" about={fault.path} run={show} />}
          </li>
        );
      })}
    </ul>
  );
}

export function Diff({ lines }: { readonly lines: readonly string[] }) {
  if (lines.length === 0) return <p>{t("noChanges")}</p>;
  const kindOf = (line: string) =>
    line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : line.startsWith("@@") ? "hint" : "";
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard scrolls it.
    <pre class="diff" tabIndex={0}>
      {lines.map((line) => (
        <span class={kindOf(line)}>{line}</span>
      ))}
    </pre>
  );
}

/** Why the file cannot be edited, or is not what the server uses. */
export function SettingsNotes({ state }: { readonly state: SettingsState }) {
  const { readOnly, refusal, faults, warnings, file } = state;
  if (file === undefined) return <p class="note warn">{t("noFile")}</p>;
  return (
    <>
      {readOnly !== undefined && <p class="note warn">{t("isReadOnly", { why: readOnly })}</p>}
      {warnings.length > 0 && <Warnings warnings={warnings} />}
      {(refusal !== undefined || faults.length > 0) && (
        <div class="note bad" role="alert">
          <p>{t("fileRefused", { file })}</p>
          {faults.length > 0 ? <Faults faults={faults} /> : <p>{refusal}</p>}
        </div>
      )}
    </>
  );
}

/** Scrolls to what it holds when that appears, so that a next step is not missed, and moves the focus there. */
export function Reveal({ children }: { readonly children: ComponentChildren }) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    element.current?.focus({ preventScroll: true });
    element.current?.scrollIntoView({ block: "start" });
  }, []);
  return (
    <div ref={element} tabIndex={-1} class="reveal">
      {children}
    </div>
  );
}
