// The last comparison of a migration's source with its bucket: what it found, and what to do next. Also the failures of
// its copies, by cause and one by one.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../../console/api.ts";
import { useLoaded } from "../../console/load.ts";
import { Show, Table } from "../../console/parts/parts.tsx";
import { bytes, count, moment } from "../../console/text/format.ts";
import type { MigrationAnswer, MigrationFailures } from "../contract.ts";
import { causeText, type TextName, t } from "../words.ts";

type Found = NonNullable<MigrationAnswer["verification"]>;
type Kind = Found["findings"][number]["kind"];

const NEXT: Readonly<Record<Kind, TextName>> = {
  differs: "differsNext",
  missing: "missingNext",
  gone: "goneNext",
  unread: "unreadNext",
  failed: "failedNext",
  deleted: "deletedNext",
};

/** The comparison of the last run; undefined if that has copied. */
export function lastVerification({ verification, counters }: MigrationAnswer): Found | undefined {
  return verification?.run === counters?.run ? verification : undefined;
}

/** Images of these kinds. Deleted ones are no difference. */
export function countOf(
  { findings }: Found,
  kinds: readonly Kind[] = ["differs", "missing", "gone", "unread", "failed"],
): number {
  return findings.reduce((sum, { kind, count: many }) => (kinds.includes(kind) ? sum + many : sum), 0);
}

export function Verification({ migration }: { readonly migration: MigrationAnswer }) {
  const { verification: found, isRunning } = migration;
  if (found === undefined) return null;
  const isLast = lastVerification(migration) !== undefined;
  if (isLast && isRunning) return <Comparing found={found} />;
  return (
    <div class="stack">
      <Summary found={found} isLast={isLast} />
      {isLast && found.findings.length > 0 && (
        <>
          <Table t={t} head={["difference", "objects", "nextStep"]} numbers={["objects"]}>
            {found.findings.map(({ kind, count: many }) => (
              <tr key={kind}>
                <td>{t(kind)}</td>
                <td class="number">{count(many)}</td>
                <td>{t(NEXT[kind])}</td>
              </tr>
            ))}
          </Table>
          <details>
            <summary>{t("eachDifference")}</summary>
            <Table t={t} head={["object", "difference", "details"]}>
              {found.findings.flatMap(({ kind, first }) =>
                first.map(({ fileid, reason }) => (
                  <tr key={`${kind} ${fileid}`}>
                    <td class="long mono">{fileid}</td>
                    <td class="nowrap">{t(kind)}</td>
                    <td class="long">{reason}</td>
                  </tr>
                )),
              )}
            </Table>
          </details>
        </>
      )}
    </div>
  );
}

function Comparing({ found: { done, objects, bytes: read } }: { readonly found: Found }) {
  return (
    <div class="stack tight">
      <progress value={done} max={Math.max(objects, 1)} aria-label={t("verify")} />
      <p>{t("comparedOf", { done: count(done), all: count(objects), bytes: bytes(read) })}</p>
    </div>
  );
}

function Summary({ found, isLast }: { readonly found: Found; readonly isLast: boolean }) {
  const { at, equal, hashed, troubles } = found;
  const others = countOf(found);
  const isWhole = troubles?.length === 0;
  const words = isWhole ? (others === 0 ? "verifiedEqual" : "verifiedOther") : "verifiedPart";
  const isProof = isWhole && isLast && others === 0;
  const values = { when: moment(at), equal: count(equal), hashed: count(hashed), count: count(others) };
  return (
    <div class={`note ${isProof ? "good" : isLast ? "warn" : ""}`}>
      <p>{t(words, values)}</p>
      {troubles?.map((text) => (
        <p key={text} class="hint">
          {text}
        </p>
      ))}
      {!isLast && <p>{t("verifiedBefore")}</p>}
      {isProof && found.sample === "100%" && <p>{t("switchOff")}</p>}
    </div>
  );
}

const LISTED = 50;

export function Failures({ id, failed }: { readonly id: string; readonly failed: number }) {
  // They are loaded again when there are more, or fewer after a retry.
  const shown = useSignal(failed);
  useEffect(() => {
    shown.value = failed;
  }, [failed]);
  const failures = useLoaded((signal) => {
    void shown.value;
    return get<MigrationFailures>("/migrations/failures", { id, limit: LISTED }, signal);
  });
  return (
    <Show of={failures.state} reload={failures.reload}>
      {({ failures: all, causes, next }) => (
        <div class="stack">
          <h3>{t("failuresByCause")}</h3>
          <Table t={t} head={["reason", "failures", "example"]} numbers={["failures"]}>
            {causes.map(({ cause, count: many, example }) => (
              <tr key={cause}>
                <td>
                  {causeText(cause)} <span class="hint mono nowrap">{cause}</span>
                </td>
                <td class="number">{count(many)}</td>
                <td class="long">{example}</td>
              </tr>
            ))}
          </Table>
          <details>
            <summary>{t("eachFailure")}</summary>
            <Table t={t} head={["object", "reason"]}>
              {all.map(({ serial, fileid, log }) => (
                <tr key={serial}>
                  <td class="long mono">{fileid}</td>
                  <td class="long">{log}</td>
                </tr>
              ))}
            </Table>
            {next !== undefined && <p class="hint">{t("moreFailures")}</p>}
          </details>
        </div>
      )}
    </Show>
  );
}
