// `npm run bench:console`: the console of a bucket with 1,000,000 images, in Chromium. docs/internals/console-record.md
// has the figures.
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Browser } from "playwright-core";
import { launchBrowser } from "../../helpers/browser.ts";
import { outputOf } from "../processes.ts";
import { host, missesMust, tables, withFigures } from "../report.ts";
import type { Bench, Outcome } from "./case.ts";
import { fill, fillingOf } from "./fill.ts";
import { first } from "./first.ts";
import { live } from "./live.ts";
import { pages } from "./pages.ts";

const PAGE = fileURLToPath(new URL("../../../docs/internals/console-record.md", import.meta.url));
const USAGE = `npm run bench:console -- [CASE …] [--scale N] [--rounds N] [--data DIR] [--write]

CASE           pages, first or live; default: all
--scale N      this part of the images and log entries, default 1: as recorded
--rounds N     paired rounds of the case live, default 10
--data DIR     fills this folder, or uses it if it is filled, and keeps it
--write        puts the figures into docs/internals/console-record.md; only with --scale 1

All files are below ${tmpdir()}; TMPDIR names another folder. Needs chromium, wrk and 4 GB of disk.
`;

const CASES = new Map<string, (bench: Bench, browser: Browser) => Promise<Outcome>>(
  Object.entries({ pages, first, live }),
);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: "string", default: "1" },
    rounds: { type: "string", default: "10" },
    data: { type: "string" },
    write: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const chosen = [...CASES].filter(([name]) => positionals.length === 0 || positionals.includes(name));
const [scale, rounds] = [Number(values.scale), Number(values.rounds)];

if (values.help) process.stdout.write(USAGE);
else if (
  !positionals.every((name) => CASES.has(name)) ||
  !(scale > 0 && rounds >= 1) ||
  (values.write && scale !== 1)
) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else await measure();

async function measure(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-bench-"));
  const data = values.data ?? join(folder, "data");
  const fileSystem = outputOf("df", ["--output=fstype", tmpdir()]).trim().split("\n").at(-1) ?? "";
  try {
    if (!existsSync(join(data, "catalogue.db"))) {
      const began = performance.now();
      await fill(data, fillingOf(scale));
      process.stderr.write(`filled in ${((performance.now() - began) / 1_000).toFixed(0)} s\n`);
    }
    for (const [name, run] of chosen) {
      const browser = await launchBrowser();
      try {
        process.stderr.write(`${name}\n`);
        await measureCase(name, () => run({ folder, data, rounds }, browser), fileSystem);
      } finally {
        await browser.close();
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureCase(name: string, run: () => Promise<Outcome>, fileSystem: string): Promise<void> {
  const [load = 0, began] = [loadavg()[0], performance.now()];
  const { verdicts, facts } = await run();
  const seconds = (performance.now() - began) / 1_000;
  const command = `npm run bench:console -- ${name}${scale === 1 ? "" : ` --scale ${scale}`}`;
  const about = `${new Date().toISOString().slice(0, 10)}, ${host(fileSystem)}, load before ${load.toFixed(1)}`;
  const shown = [tables([{ title: name, figures: [], verdicts }]), ...facts].join("\n\n");
  const text = `\`${command}\`, ${about}, ${seconds.toFixed(0)} s.\n\n${shown}\n`;
  process.stdout.write(`\n${text}\n`);
  if (values.write) await writeFile(PAGE, withFigures(await readFile(PAGE, "utf8"), `\n${text}`, name));
  if (verdicts.some(missesMust)) process.exitCode = 1;
}
