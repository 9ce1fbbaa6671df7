// `npm run bench`: measures the cost of a request beside nginx and Varnish on the same machine in the same run, and
// reports whether the targets hold. performance.md describes the method. Needs nginx, varnish, wrk and a second
// core.

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { hitsBesideMisses } from "./beside.ts";
import type { Bench, Effort, Outcome } from "./case.ts";
import { spaceByObjects } from "./catalogue.ts";
import { startOrigin } from "./contenders.ts";
import { diskHits, SIGNED_HITS, signedHits, UNSIGNED_HITS, unsignedHits } from "./hits.ts";
import { atRest, slowFills } from "./memory.ts";
import { addedTime, coldClients, STORED_MISSES, storedMisses } from "./misses.ts";
import { LOAD_CORE, outputOf } from "./processes.ts";
import { machine, missesMust, tables, withFigures } from "./report.ts";
import { costByObjects } from "./scale.ts";
import { repeatedThumbnail, THUMBNAIL_FORMATS, thumbnailMemory, thumbnails } from "./thumbnails.ts";
import { slowUploads, uploads } from "./uploads.ts";

const PAGE = fileURLToPath(new URL("../../docs/internals/performance-record.md", import.meta.url));
const USAGE = `npm run bench -- [FILTER] [--quick] [--write] [--folder DIR]

FILTER         only the cases whose name contains it, or those of a part of the page: figures, thumbnails, uploads
--quick        one short round each: to see that it works, not for the record
--write        puts the figures into docs/internals/performance-record.md; not with --quick, and only where the filter takes no case of a
               part of that page and leaves another: none, or a part
--folder DIR   where all servers keep their files, default ${tmpdir()}
--list         the names of the cases
`;

const RECORDED: Effort = { warmUpSeconds: 3, seconds: 5, repeats: 3, isQuick: false };
const QUICK: Effort = { warmUpSeconds: 1, seconds: 2, repeats: 1, isQuick: true };

type Cases = Readonly<Record<string, (bench: Bench) => Promise<Outcome>>>;

/** Cases by the part of the page that shows their figures. */
const PARTS: Readonly<Record<string, Cases>> = {
  figures: {
    ...named("signed-hit", SIGNED_HITS, signedHits),
    ...named("hit", UNSIGNED_HITS, unsignedHits),
    "disk-hit": diskHits,
    ...named("miss", STORED_MISSES, storedMisses),
    "added-time": addedTime,
    "cold-clients": coldClients,
    "hits-beside-misses": hitsBesideMisses,
    objects: costByObjects,
    "catalogue-1000000": (bench) => spaceByObjects(1_000_000, bench),
    "catalogue-10000000": (bench) => spaceByObjects(10_000_000, bench),
    "memory-rest": atRest,
    "memory-slow-fills": slowFills,
  },
  thumbnails: {
    ...Object.fromEntries(
      THUMBNAIL_FORMATS.map((format) => [`thumbnail-${format}`, (bench: Bench) => thumbnails(format, bench)]),
    ),
    "thumbnail-one-url": repeatedThumbnail,
    "thumbnail-memory": thumbnailMemory,
  },
  uploads: { "upload-100000": uploads, "memory-slow-uploads": slowUploads },
};

function named<Case extends { readonly bytes: number }>(
  name: string,
  list: readonly Case[],
  run: (each: Case, bench: Bench) => Promise<Outcome>,
) {
  return Object.fromEntries(list.map((each) => [`${name}-${each.bytes}`, (bench: Bench) => run(each, bench)]));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    folder: { type: "string", default: tmpdir() },
  },
});
const [filter = ""] = positionals;
const chosen = new Map<string, Cases>();
for (const [part, cases] of Object.entries(PARTS)) {
  const wanted = Object.entries(cases).filter(([name]) => filter === part || name.includes(filter));
  if (wanted.length > 0) chosen.set(part, Object.fromEntries(wanted));
}
const areWhole = [...chosen].every(
  ([part, cases]) => Object.keys(cases).length === Object.keys(PARTS[part] ?? {}).length,
);

if (values.help) process.stdout.write(USAGE);
else if (values.list) for (const name of Object.values(PARTS).flatMap(Object.keys)) console.log(name);
else if (chosen.size === 0 || (values.write && (values.quick || !areWhole))) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else await measure();

async function measure(): Promise<void> {
  if (cpus().length < 2)
    throw new Error("Cannot measure: two cores are needed, one for the servers and one for the load");
  for (const program of ["nginx", "varnishd", "wrk", "taskset"]) outputOf(program, ["-V"]);
  // This process also reads responses, and must not use the servers' core.
  execFileSync("taskset", ["-a", "-c", "-p", String(LOAD_CORE), String(process.pid)]);

  const folder = await mkdtemp(join(values.folder, "huiyuan-bench-"));
  const origin = await startOrigin();
  const effort = values.quick ? QUICK : RECORDED;
  const outcomes = new Map<string, Outcome[]>();
  try {
    for (const [part, cases] of chosen) {
      const list: Outcome[] = [];
      outcomes.set(part, list);
      for (const [name, run] of Object.entries(cases)) {
        const place = { folder: join(folder, name), originPort: origin.port };
        const outcome = await run({ place, origin, effort });
        await rm(place.folder, { recursive: true, force: true });
        process.stdout.write(`\n${tables([outcome])}\n`);
        list.push(outcome);
      }
    }
  } finally {
    await origin.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const fileSystem = outputOf("df", ["--output=fstype", values.folder]).trim().split("\n").at(-1) ?? "";
  const facts = `${new Date().toISOString().slice(0, 10)}, ${machine(fileSystem)}.`;
  const all = [...outcomes.values()].flat();
  process.stdout.write(`\n${facts}\n${all.length > 1 ? `\n${tables(all)}\n` : ""}`);
  if (values.write) {
    for (const [part, list] of outcomes) await write(part, facts, list);
  }
  if (all.some(({ verdicts }) => verdicts.some(missesMust))) process.exitCode = 1;
}

async function write(part: string, facts: string, outcomes: readonly Outcome[]): Promise<void> {
  const command = `npm run bench -- ${filter === "" ? "" : `${filter} `}--write`;
  const figures = `\n\`${command}\`, ${facts}\n\n${tables(outcomes)}\n`;
  await writeFile(PAGE, withFigures(await readFile(PAGE, "utf8"), figures, part));
}
