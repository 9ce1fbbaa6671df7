// `npm run bench:migrate`: migrations at full size, beside other programs on the same files in the same run, and killed
// at random moments. Checks every object. docs/internals/migration-record.md has the figures.
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../load.ts";
import { outputOf } from "../processes.ts";
import { host, missesMust, table, tables, withFigures } from "../report.ts";
import { type Bench, type Outcome, removeAll } from "./case.ts";
import { killedLocal, killedQiniu, killedS3, killedUrls } from "./killed.ts";
import { local, million } from "./local.ts";
import { qiniu, s3 } from "./stores.ts";
import { urls } from "./urls.ts";

const PAGE = fileURLToPath(new URL("../../../docs/internals/migration-record.md", import.meta.url));
const USAGE = `npm run bench:migrate -- [FILTER] [--scale N] [--rounds N] [--kills N] [--seed N] [--write]

FILTER         the case of this name, or the cases whose name contains it
--scale N      this part of the objects, default 1: as recorded
--rounds N     rounds beside other programs, default 3
--kills N      kill -9 in each case of kills, default 8
--at-once N    transfers at once of the case urls, default 64
--seed N       another number kills at other moments, default 1
--write        puts the figures into docs/internals/migration-record.md; only with --scale 1
--node FLAG    a flag for node, such as --node=--cpu-prof; may be repeated
--list         the names of the cases

All files are below ${tmpdir()}; TMPDIR names another folder.
`;

const CASES: Readonly<Record<string, (bench: Bench) => Promise<Outcome>>> = {
  local,
  urls,
  s3,
  qiniu,
  "kill-local": killedLocal,
  "kill-urls": killedUrls,
  "kill-s3": killedS3,
  "kill-qiniu": killedQiniu,
  million,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: "string", default: "1" },
    rounds: { type: "string", default: "3" },
    kills: { type: "string", default: "8" },
    "at-once": { type: "string", default: "64" },
    seed: { type: "string", default: "1" },
    write: { type: "boolean", default: false },
    node: { type: "string", multiple: true, default: [] },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const [filter = ""] = positionals;
const chosen = Object.entries(CASES).filter(([name]) => (filter in CASES ? name === filter : name.includes(filter)));
const [scale, rounds, kills, seed] = [values.scale, values.rounds, values.kills, values.seed].map(Number) as [
  number,
  number,
  number,
  number,
];

if (values.help) process.stdout.write(USAGE);
else if (values.list) for (const name of Object.keys(CASES)) console.log(name);
else if (chosen.length === 0 || !(scale > 0 && rounds >= 1 && kills >= 1) || (values.write && scale !== 1)) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else await measure();

async function measure(): Promise<void> {
  const fileSystem = outputOf("df", ["--output=fstype", tmpdir()]).trim().split("\n").at(-1) ?? "";
  for (const [name, run] of chosen) {
    const folder = await mkdtemp(join(tmpdir(), "huiyuan-bench-"));
    const [load = 0, began] = [loadavg()[0], performance.now()];
    process.stderr.write(`${name}\n`);
    try {
      const outcome = await run({
        folder,
        scale,
        rounds,
        kills,
        seed,
        atOnce: Number(values["at-once"]),
        nodeFlags: values.node,
      });
      const seconds = (performance.now() - began) / 1_000;
      const command = `npm run bench:migrate -- ${name}${scale === 1 ? "" : ` --scale ${scale}`}`;
      const facts = `${new Date().toISOString().slice(0, 10)}, ${host(fileSystem)}, load before ${load.toFixed(1)}`;
      const text = `\`${command}\`, ${facts}, ${seconds.toFixed(0)} s.\n\n${shown(outcome)}\n`;
      process.stdout.write(`\n${text}\n`);
      if (values.write) await writeFile(PAGE, withFigures(await readFile(PAGE, "utf8"), `\n${text}`, name));
      if (outcome.verdicts.some(missesMust)) process.exitCode = 1;
    } finally {
      await removeAll(folder);
    }
  }
}

function shown({ title, speeds, verdicts, facts }: Outcome): string {
  const rows = speeds.map(({ program, perSecond, peakBytes }) => [
    program,
    median(perSecond).toFixed(0),
    perSecond.map((rate) => rate.toFixed(0)).join(", "),
    peakBytes === undefined ? "" : (peakBytes / 1_000_000).toFixed(0),
  ]);
  const parts = [tables([{ title, figures: [], verdicts }])];
  if (rows.length > 0) parts.push(table(["program", "objects/s", "rounds", "peak RSS MB"], rows));
  return [...parts, facts.join("\n")].join("\n\n");
}
