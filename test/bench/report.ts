// Formats outcomes as tables for the terminal and for performance-record.md. It has no side effects; it reads only
// the machine's description.
import { cpus, totalmem } from "node:os";
import type { Figures, Outcome, Target, Verdict } from "./case.ts";
import { outputOf } from "./processes.ts";

/** Markdown tables, aligned so that they are readable on a terminal too. */
export function tables(outcomes: readonly Outcome[]): string {
  const verdicts = outcomes.flatMap((outcome) => outcome.verdicts);
  const figures = outcomes.flatMap(({ title, figures: list }) => list.map((each) => figuresRow(title, each)));
  const parts = [table(["case", "measured", "must", "aim", ""], verdicts.map(verdictRow))];
  if (figures.length > 0) {
    parts.push(
      table(["case", "server", "CPU µs", "p50 ms", "p99 ms", "requests/s", "peak RSS MB", "foreign"], figures),
    );
  }
  return parts.join("\n\n");
}

export function missesMust({ value, target }: Verdict): boolean {
  return target !== undefined && !keeps(value, target.must, target);
}

function keeps(value: number, bound: number, { isLeast }: Target): boolean {
  return isLeast === true ? value >= bound : value <= bound;
}

function verdictRow(verdict: Verdict): string[] {
  const { what, value, unit, target } = verdict;
  const text = (number: number, digits: number) => `${number.toFixed(digits)}${unit === "×" ? "" : ` ${unit}`}`;
  const bound = (number: number) => `${target?.isLeast === true ? "≥" : "≤"} ${text(number, unit === "×" ? 2 : 0)}`;
  if (target === undefined) return [what, text(value, unit === "×" ? 2 : 0), "", "", ""];
  const word = missesMust(verdict) ? "**over**" : keeps(value, target.aim, target) ? "aim" : "must";
  return [what, text(value, unit === "×" ? 2 : 0), bound(target.must), bound(target.aim), word];
}

function figuresRow(title: string, figures: Figures): string[] {
  const { contender, cpuMicros, p50, p99, perSecond, peakBytes, foreign } = figures;
  return [
    title,
    contender,
    cpuMicros.toFixed(1),
    p50.toFixed(2),
    p99.toFixed(2),
    perSecond.toFixed(0),
    (peakBytes / 1_000_000).toFixed(0),
    `${(foreign * 100).toFixed(0)} %`,
  ];
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

/** Describes the machine and the Node version; contains no host names or paths. */
export function host(fileSystem: string): string {
  return [
    `${cpus().length} cores (${cpus()[0]?.model.trim() || "unnamed"})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB of memory`,
    `data on ${fileSystem}`,
    `Node ${process.versions.node}`,
  ].join(", ");
}

/** The same with the versions of the competitors. */
export function machine(fileSystem: string): string {
  const version = (command: string, flag: string, pattern: RegExp) =>
    pattern.exec(outputOf(command, [flag]))?.[1] ?? "of unknown version";
  return [
    host(fileSystem),
    `nginx ${version("nginx", "-v", /nginx\/(\S+)/)}`,
    `Varnish ${version("varnishd", "-V", /varnish-([\d.]+)/)}`,
    `wrk ${version("wrk", "-v", /wrk (?:debian\/)?([\d.]+)/)}`,
  ].join(", ");
}

/** Returns the page with new figures between the markers of its part `name`. Throws if the part is missing. */
export function withFigures(page: string, figures: string, name = "figures"): string {
  const beginMark = `<!-- ${name}: begin -->`;
  const begin = page.indexOf(beginMark);
  const end = page.indexOf(`<!-- ${name}: end -->`);
  if (begin < 0 || end < begin) throw new Error(`Cannot write the figures: the page has no ${beginMark} … end`);
  return `${page.slice(0, begin + beginMark.length)}\n${figures}\n${page.slice(end)}`;
}
