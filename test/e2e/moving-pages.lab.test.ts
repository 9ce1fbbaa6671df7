// The pages "Moving from Qiniu" and "Moving from OSS" as written. Only hosts, keys and buckets are replaced, by those
// of stand-ins for Qiniu and of a real Ceph RGW. Afterwards every object is served with its own bytes.
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CEPH_START_MS, sharedRgw } from "../helpers/ceph.ts";
import { pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type Block, blocksIn, blocksOf, isShell } from "../helpers/page-blocks.ts";
import { programsOf, runPage } from "../helpers/page-run.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { startQiniuListing, startQiniuStandIn } from "../helpers/qiniu-stand-in.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { needs, serviceAvailable } from "../helpers/services.ts";

/** The test of a page needs the programs of the page, and curl, with which move() compares. */
function optionsOf(page: string) {
  const blocks = blocksOf(page).map((block) => withReplaced(block, {}));
  return { timeout: 300_000, ...needs("curl", ...programsOf(blocks)) };
}
const [QINIU, OSS] = ["docs/guides/moving-qiniu.md", "docs/guides/moving-oss.md"] as const;
const FIRST = ["2015/a.jpg", "深/b c+d.jpg", "没有后缀", ...Array.from({ length: 40 }, (_, index) => `n/${index}.jpg`)];

let base: Buffer;
let folder: string;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  base = await noisyJpeg(24, 24);
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "huiyuan-moving-"));
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  await rm(folder, { recursive: true });
});

/** A JPEG with bytes of its own. */
const jpegOf = (name: string) => Buffer.concat([base, Buffer.from(name)]);
const FIRST_OBJECTS = () => new Map(FIRST.map((name) => [name, jpegOf(name)]));
/** The objects that the source changes between the copy and the cut-over pass. */
const CHANGES = () =>
  new Map([
    ["2015/a.jpg", jpegOf("changed")],
    ["late/é.jpg", jpegOf("late")],
  ]);
const LAST_OBJECTS = () => new Map([...FIRST_OBJECTS(), ...CHANGES()]);

interface Move {
  readonly page: string;
  readonly replaced: Readonly<Record<string, string>>;
  /** Makes CHANGES at the source. */
  change(): unknown;
  /** Called when the rehearsal has begun, and after its downloads. */
  rehearsed(): unknown;
  compared?(): unknown;
  /** Commands after those of the page. */
  readonly last?: string;
}

/** Runs the page with the blocks that need a bucket, and compares every object during the rehearsal. */
async function move({
  page,
  replaced,
  last = "true",
  change,
  rehearsed,
  compared = () => undefined,
}: Move): Promise<void> {
  const calls = await startCalls({ change, rehearsed, compared });
  const own = (text: string) => blocksIn("test", `\`\`\`sh run\n${text}\n\`\`\``);
  const blocks = blocksOf(page).map((block) => withReplaced(block, replaced));
  const written = blocksOf(page).map(({ text }) => text);
  expect(Object.keys(replaced).filter((from) => !written.some((text) => text.includes(from)))).toEqual([]);
  const cutOver = blocks.findIndex(({ text }) => text.includes("start -f"));
  const rehearsal = blocks.findIndex(({ text }) => text.includes("s/# rules:/rules:/"));
  expect([cutOver > 0, rehearsal > cutOver]).toEqual([true, true]);
  await runPage([
    ...blocks.slice(0, cutOver),
    ...own(`curl -sSf ${calls}/change`),
    ...blocks.slice(cutOver, rehearsal + 1),
    ...own(`curl -sSf ${calls}/rehearsed`),
    ...own(await comparison()),
    ...own(`curl -sSf ${calls}/compared`),
    ...blocks.slice(rehearsal + 1),
    ...own(last),
  ]);
}

function withReplaced(block: Block, replaced: Move["replaced"]): Block {
  let { text } = block;
  for (const [from, to] of Object.entries(replaced)) text = text.replaceAll(from, to);
  const isRun = isShell(block) && block.marks.skip === "needs your bucket";
  return { ...block, text, ...(isRun && { run: "run" }) };
}

/** Shell commands that download every object, and fail unless each has its bytes and nothing else is stored. */
async function comparison(): Promise<string> {
  const objects = [...LAST_OBJECTS()];
  const lines = objects.map(async ([name, bytes], index) => {
    const file = join(folder, String(index));
    await writeFile(file, bytes);
    return `curl -sSfo got -H 'Host: img.example.com' 'http://127.0.0.1:8080${pathOf(name)}' && cmp got ${file} || exit 1`;
  });
  return [...(await Promise.all(lines)), `test "$(huiyuan ls --json | wc -l)" = ${objects.length}`].join("\n");
}

/** A server whose paths call functions of the test, so that the shell of a page decides when. */
async function startCalls(calls: Readonly<Record<string, () => unknown>>): Promise<string> {
  const server = createServer(async ({ url = "" }, response) => {
    await calls[url.slice(1)]?.();
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server's address is never a string
}

test("Moving from Qiniu works as written, and the rehearsal sends no request to Qiniu", optionsOf(QINIU), async () => {
  const objects = FIRST_OBJECTS();
  const keys = {
    accessKey: "QINIU_ACCESS_KEY",
    secretKey: "paste-the-SecretKey-of-Qiniu",
  };
  const downloads = await startQiniuStandIn({ objects, keys });
  const listing = await startQiniuListing({
    bucket: "pictures",
    objects,
    keys,
    pageItems: 7,
  });
  cleanups.push(downloads.close, listing.close);
  let requests = 0;
  await move({
    page: QINIU,
    replaced: {
      "domain: http://qiniu-origin.example.com": `allowPrivate: true\n                  domain: ${downloads.url}`,
      "qiniu.domain = http://qiniu-origin.example.com": `qiniu.domain = ${downloads.url}`,
      "qiniu.bucket = my-bucket": "qiniu.bucket = pictures",
      "qiniu.endpoint =": `qiniu.endpoint = ${listing.url}`,
      "--settings huiyuan.yaml": "--settings huiyuan.yaml --allow-private",
    },
    change: () => {
      for (const [name, bytes] of CHANGES()) objects.set(name, bytes);
    },
    rehearsed: () => {
      requests = downloads.requests.length;
    },
  });
  // Each was copied once, and compared once; the changed one was copied again.
  expect(requests).toBe(FIRST.length + CHANGES().size + LAST_OBJECTS().size);
  expect(downloads.requests.length).toBe(requests);
});

describe("Moving from OSS", needs("ceph"), () => {
  beforeAll(async () => {
    if (serviceAvailable("ceph")) await sharedRgw();
  }, CEPH_START_MS);

  test("works as written, with the config of the old tool too", optionsOf(OSS), async () => {
    const rgw = await sharedRgw();
    const s3 = plainS3(rgw);
    const bucket = bucketName();
    await s3.makeBucket(bucket);
    for (const [name, bytes] of FIRST_OBJECTS()) await s3.put(bucket, name, bytes);
    await move({
      page: OSS,
      replaced: {
        "preset: oss": "preset: ceph\n                  allowPrivate: true",
        "region: cn-hangzhou": `region: ${rgw.region}`,
        "s3.preset = oss": "s3.preset = ceph",
        "s3.region = cn-hangzhou": `s3.region = ${rgw.region}`,
        "https://s3.oss-cn-hangzhou.aliyuncs.com": rgw.url,
        "example-pictures": bucket,
        OSS_ACCESS_KEY: rgw.accessKeyId,
        "paste-the-secret-of-OSS": rgw.secretAccessKey,
        "--config s3/conf/config.ini": "--config s3/conf/config.ini --allow-private",
      },
      change: async () => {
        for (const [name, bytes] of CHANGES()) await s3.put(bucket, name, bytes);
      },
      // A fetch during the rehearsal would be a 404.
      rehearsed: async () => {
        for (const [name] of LAST_OBJECTS()) await s3.remove(bucket, name);
      },
      compared: async () => {
        for (const [name, bytes] of LAST_OBJECTS()) await s3.put(bucket, name, bytes);
      },
      last: `huiyuan migrate stat --once --config s3/conf/config.ini | grep ': 0, ${LAST_OBJECTS().size} / '`,
    });
  });
});
