// Prints the doctor's report: each finding and the summary.

import { shown } from "../cli/terminal.ts";
import type { Finding, Severity } from "./finding.ts";

const LABELS: Readonly<Record<Severity, { readonly sign: string; readonly colour: number }>> = {
  good: { sign: "ok", colour: 32 },
  note: { sign: "note", colour: 36 },
  warning: { sign: "warning", colour: 33 },
  problem: { sign: "PROBLEM", colour: 31 },
};

/** Escapes control characters, because a finding may quote the origin. */
export function describeFinding({ severity, found, means }: Finding, isColoured: boolean): string {
  const { sign, colour } = LABELS[severity];
  const label = isColoured ? `\u001b[${colour}m${sign.padEnd(8)}\u001b[0m` : sign.padEnd(8);
  const explained = means === undefined ? "" : `${" ".repeat(8)} ${shown(means)}\n`;
  return `${label} ${shown(found)}\n${explained}`;
}

export function describeSummary(findings: readonly Finding[], proposal: string | undefined, origin: string): string {
  const count = (severity: Severity) => findings.filter((finding) => finding.severity === severity).length;
  const [problems, warnings] = [count("problem"), count("warning")];
  const verdict =
    problems > 0
      ? "Images would fail or be wrong: fix the problems first."
      : warnings > 0
        ? "The origin can be mirrored; read the warnings."
        : "The origin can be mirrored as it is.";
  return `
${origin}: ${problems} problem${problems === 1 ? "" : "s"}, ${warnings} warning${warnings === 1 ? "" : "s"}. ${verdict}
${proposal === undefined ? "" : `\nProposed settings:\n\n${proposal}`}`;
}
