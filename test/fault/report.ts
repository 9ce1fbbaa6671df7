// Writes docs/internals/faults.md from the observed results: one row per fault, one table per group, no timings.
import { COLUMNS, type FaultGroup, type Seen } from "./fault.ts";

const HEADER = `# Faults

After this page you know what a client gets when an origin, a network or another client misbehaves. The fault lab
(\`test/fault\`) runs the built program with a scripted origin, a faulty TCP proxy and a DNS server of its own. It observed
every row. \`npm test\` runs every row again and fails if a result differs from this page. \`npm run lab:docs\` writes the
page. Do not edit it by hand.

A status with a negative number is an error response with that \`X-ErrNo\`. \`whole\`: the body ended properly and had the
right bytes. \`stored\`: the next request did not need the origin.
`;

/** Returns the page. Throws if a fault was not observed. */
export function report(groups: readonly FaultGroup[], seen: ReadonlyMap<string, Seen>): string {
  const count = groups.reduce((sum, { faults }) => sum + faults.length, 0);
  const tables = groups.map((group) => table(group, seen));
  return `${[`${HEADER}\n${count} faults.`, ...tables].join("\n\n")}\n`;
}

function table({ title, about, faults }: FaultGroup, seen: ReadonlyMap<string, Seen>): string {
  // the rows of a group have equal columns
  const columns = Object.keys(faults[0]?.expected ?? {}) as (keyof typeof COLUMNS)[];
  const rows = faults.map(({ id, what }) => {
    const found = seen.get(id);
    if (found === undefined) throw new Error(`"${id}" was not observed`);
    return [what, ...columns.map((column) => String(found[column]))];
  });
  const headings = ["fault", ...columns.map((column) => COLUMNS[column])];
  const lines = [headings, headings.map(() => "---"), ...rows].map(
    (cells) => `| ${cells.map(escapeCell).join(" | ")} |`,
  );
  return [`## ${title}`, about, lines.join("\n")].join("\n\n");
}

function escapeCell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("*", "\\*");
}
