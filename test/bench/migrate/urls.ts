// A list of URLs on a real nginx, 1 % of them broken, beside curl at equal concurrency.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { head, type Script, startScriptedOrigin } from "../../helpers/scripted-origin.ts";
import { startNginx } from "../../helpers/services.ts";
import { type Bench, faster, inTurns, migrated, type Outcome, type Round, removeAll, settled, timed } from "./case.ts";
import { filesIn, writeJpegs } from "./files.ts";

const URLS = 20_000;
/** curl has the same for each transfer. */
const TIMEOUT_SECONDS = 2;
/** One URL in so many is broken. */
const BROKEN_EVERY = 100;

/** One curl for each URL, as many at once. */
const LOOP = "a curl loop";

/** The journal's text for each kind of broken answer. */
const KINDS: Readonly<Record<string, RegExp>> = {
  404: /^HTTP Error 404: Not Found$/,
  500: /^HTTP response status code: 500$/,
  /** The file ends early, its length is right. */
  cut: /its structure is wrong/,
  /** The connection ends before the length that the head has. */
  short: /other side closed after 1000 bytes, \d+ wanted/,
  html: /origin_not_image/,
  hung: /no response head in 2000 ms/,
};

export interface Site {
  /** Every URL, one a line. */
  readonly list: string;
  /** The URLs that are not broken. */
  readonly wholeList: string;
  readonly count: number;
  readonly failures: ReadonlyMap<string, RegExp>;
  objects(): Iterable<readonly [string, Uint8Array]>;
  /** Names of the objects, broken ones left out, in the order of their requests. */
  fetched(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export async function startSite({ folder, scale }: Pick<Bench, "folder" | "scale">): Promise<Site> {
  const count = Math.round(URLS * scale);
  const [root, other] = [join(folder, "site"), join(folder, "other")];
  const brokenCount = Math.max(Object.keys(KINDS).length, Math.round(count / BROKEN_EVERY));
  const whole = await writeJpegs(root, count - brokenCount);
  const broken = writeBroken(other, brokenCount, readFileSync(join(root, whole[0]!)));
  const upstream = await startScriptedOrigin(broken.scripts);
  const nginx = await startNginx({
    root,
    conf: `location /broken/ { root "${other}"; }
      location ~ ^/broken/500 { return 500; }
      location ~ ^/broken/(hung|short) { proxy_pass ${upstream.url}; proxy_buffering off; }`,
  });
  const names = [...whole];
  for (const [at, name] of [...broken.failures.keys()].entries()) names.splice((at + 1) * BROKEN_EVERY - 1, 0, name);
  const write = (file: string, listed: readonly string[]) => {
    writeFileSync(join(folder, file), listed.map((name) => `${nginx.url}/${name}\n`).join(""));
    return join(folder, file);
  };
  return {
    list: write("urls.txt", names),
    wholeList: write("whole.txt", whole),
    count,
    failures: broken.failures,
    objects: () => filesIn(root),
    async fetched() {
      const lines = await nginx.accessLog();
      const found = lines.map((line) => line.split(" ")[1]?.slice(1) ?? "");
      return found.filter((name) => !name.startsWith("broken/"));
    },
    async stop() {
      await nginx.remove();
      await upstream.close();
    },
  };
}

/** Makes the files of broken URLs, and the scripts of those that a server must break. */
function writeBroken(root: string, count: number, image: Buffer) {
  const failures = new Map<string, RegExp>();
  const scripts: Record<string, Script> = {};
  const length = head("200 OK", [
    ["Content-Type", "image/jpeg"],
    ["Content-Length", String(image.length)],
  ]);
  mkdirSync(join(root, "broken"), { recursive: true });
  const kinds = Object.entries(KINDS);
  for (let index = 0; index < count; index += 1) {
    const [kind, log] = kinds[index % kinds.length]!;
    const name = `broken/${kind}-${index}.jpg`;
    failures.set(name, log);
    if (kind === "html") writeFileSync(join(root, name), `<html><body>Not here: ${index}</body></html>`);
    if (kind === "cut") writeFileSync(join(root, name), image.subarray(0, -100));
    if (kind === "short") scripts[`/${name}`] = [length, image.subarray(0, 1_000), "FIN"];
    if (kind === "hung") scripts[`/${name}`] = ["HANG"];
  }
  return { failures, scripts };
}

export const urlConfig = (list: string, atOnce: number) => ({
  "migrate.type": "URLList",
  "url.url_list_file_path": list,
  "timeout.seconds": TIMEOUT_SECONDS,
  concurrency: atOnce,
  retries: 0,
});

export async function urls(bench: Bench): Promise<Outcome> {
  const site = await startSite(bench);
  try {
    const sound = await beside(bench, site, site.wholeList);
    const all = await beside(bench, site, site.list);
    const rows = [sound, all].map(({ title, speeds: [ours, ...others] }) =>
      others.map((other) => faster(title, ours!, other, other.program === LOOP ? 2 : undefined)),
    );
    const named = [sound, all].flatMap(({ title, speeds }) =>
      speeds.map((speed) => ({ ...speed, program: `${speed.program}, ${title}` })),
    );
    const wrong = site.failures.size;
    return {
      title: `${site.count} URLs`,
      speeds: named,
      verdicts: rows.flat(),
      facts: [
        `${bench.atOnce} transfers at once, a time-out of ${TIMEOUT_SECONDS} s, no retries.`,
        `In every run all ${site.count - wrong} sound objects are equal to their files by SHA-256.`,
        `Each of the ${wrong} broken URLs is one failure with its cause.`,
      ],
    };
  } finally {
    await site.stop();
  }
}

async function beside(bench: Bench, site: Site, list: string) {
  const isAll = list === site.list;
  const sound = site.count - site.failures.size;
  const title = isAll ? `${site.count} URLs, 1 % broken` : `${sound} sound URLs`;
  const source = { objects: site.objects, ...(isAll && { failures: site.failures }) };
  const copies = join(bench.folder, "copies");
  const config = join(bench.folder, "curl.conf");
  writeFileSync(config, curlConfig(readFileSync(list, "utf8").trim().split("\n"), copies));
  const limits = ["--silent", "--fail", "--max-time", String(TIMEOUT_SECONDS)];
  const loop: Round = async () => {
    await mkdir(copies, { recursive: true });
    await settled();
    const curls = ["curl", ...limits, "--remote-name", "--output-dir", copies];
    // 123: a curl has failed.
    const seconds = await timed("xargs", ["-a", list, "-P", String(bench.atOnce), "-n", "1", ...curls], [0, 123]);
    await removeAll(copies);
    return { seconds };
  };
  const curl = (isSynced: boolean): Round => {
    return async () => {
      await mkdir(copies, { recursive: true });
      await settled();
      const args = [
        ...limits,
        "--create-dirs",
        "--parallel",
        "--parallel-max",
        String(bench.atOnce),
        "--config",
        config,
      ];
      let seconds = await timed("curl", args, isAll ? [18, 22, 28] : [0]);
      if (isSynced) seconds += await timed("sync", ["-f", copies]);
      for (const [name, bytes] of site.objects())
        if (!readFileSync(join(copies, name)).equals(Buffer.from(bytes))) throw new Error(`curl broke ${name}`);
      await removeAll(copies);
      return { seconds };
    };
  };
  const speeds = await inTurns(bench.rounds, isAll ? site.count : sound, {
    "huiyuan migrate": () => migrated(bench, urlConfig(list, bench.atOnce), source),
    "curl --parallel": curl(false),
    "curl --parallel, sync": curl(true),
    ...(isAll && { [LOOP]: loop }),
  });
  return { title, speeds };
}

function curlConfig(list: readonly string[], folder: string): string {
  return list.map((url) => `url = "${url}"\noutput = "${join(folder, new URL(url).pathname)}"\n`).join("");
}
