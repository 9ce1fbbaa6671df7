// Compares two nodes with one S3 and one Valkey to a single node, all behind nginx with config/nginx-cluster.conf:
// `npx tsx test/bench/nodes.ts [ROUNDS]`. Needs nginx, wrk, Ceph, Valkey and a second core; run `npm run build` before.
import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { sharedRgw } from "../helpers/ceph.ts";
import { get } from "../helpers/get.ts";
import { plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { freePort } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";
import { startValkey } from "../helpers/valkey.ts";
import { type Contender, startOrigin } from "./contenders.ts";
import { byWrk, type Drive, verify } from "./load.ts";
import { middleOf } from "./pairs.ts";
import { pictureOf } from "./pictures.ts";
import { cpuMicros, end, idle, pinnedTo, SERVER_CORE, spawnOn } from "./processes.ts";

const ROUNDS = Number(process.argv[2] ?? 7);
const SECONDS = 3;
const BYTES = 20_000;
const KEYS = 200;
const CEPH = fileURLToPath(new URL("../services/ceph-rgw.sh", import.meta.url));

interface Shape extends Contender {
  readonly nodes: readonly Program[];
}
/** CPU time a request, µs. */
interface Cost {
  readonly nodes: number;
  readonly nginx: number;
}

/** nginx before so many nodes. The contender's process is nginx. */
async function startShape(name: string, count: number, settings: object): Promise<Shape> {
  const installations: Installation[] = [];
  const nodes: Program[] = [];
  const wrap = pinnedTo(SERVER_CORE);
  for (let index = 0; index < count; index += 1) {
    const installation = await install(settings);
    installations.push(installation);
    nodes.push(await installation.start({ wrap, nodeFlags: ["--max-semi-space-size=32"] }));
  }
  const folder = await mkdtemp(join(tmpdir(), "huiyuan-nodes-nginx-"));
  const port = await freePort();
  await writeFile(join(folder, "nginx.conf"), await nginxConf(folder, port, nodes));
  const nginx = spawnOn(SERVER_CORE, "nginx", ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")]);
  const answers = () =>
    get({ port, path: "/.well-known/huiyuan" }).then(
      ({ status }) => status === 200,
      () => false,
    );
  await eventually(answers, `${name} answers`);
  return {
    ...{ name, port, pid: nginx.pid ?? 0, nodes, target: (path) => path },
    async stop() {
      await end(nginx);
      await Promise.all(nodes.map((node) => node.stop()));
      for (const each of installations) await each.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function nginxConf(folder: string, port: number, nodes: readonly Program[]): Promise<string> {
  const configOf = (file: string) => readFile(new URL(`../../config/${file}`, import.meta.url), "utf8");
  const [location] = /^ {2}location \/ \{\n.*?^ {2}\}$/ms.exec(await configOf("nginx.conf")) ?? [];
  const servers = nodes.map(({ downloadPort }) => `server 127.0.0.1:${downloadPort};`).join("\n");
  const cluster = (await configOf("nginx-cluster.conf")).replace(/(?:^ {2}server .*\n)+/m, `${servers}\n`);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `daemon off; master_process off; pid ${folder}/pid; events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000;
${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join("\n")}
${cluster}
server { listen 127.0.0.1:${port};\n${location}\n} }`;
}

async function costOf(shape: Shape, drive: Drive): Promise<Cost> {
  const pids = [shape.pid, ...shape.nodes.map(({ pid }) => pid)];
  const settle = async () => {
    for (const pid of pids) await idle(pid);
  };
  await settle();
  const before = pids.map(cpuMicros);
  const { requests } = await drive(shape, SECONDS);
  await settle(); // storing counts
  const [nginx = 0, ...nodes] = pids.map((pid, index) => (cpuMicros(pid) - (before[index] ?? 0)) / requests);
  return { nginx, nodes: nodes.reduce((sum, cost) => sum + cost, 0) };
}

const interval = (values: readonly number[], digits: number) => {
  const { median, from, to } = middleOf(values);
  return `${median.toFixed(digits)} (${from.toFixed(digits)} to ${to.toFixed(digits)})`;
};

async function measure(what: string, shapes: readonly Shape[], drive: Drive): Promise<void> {
  for (const shape of shapes) await drive(shape, 2 * SECONDS);
  const rounds: Cost[][] = [];
  while (rounds.length < ROUNDS) {
    const round: Cost[] = [];
    for (const shape of shapes) round.push(await costOf(shape, drive));
    rounds.push(round);
  }
  for (const [index, { name }] of shapes.entries()) {
    const of = (pick: (cost: Cost) => number) => rounds.map((round) => pick(round[index] as Cost));
    const all = ({ nodes, nginx }: Cost) => nodes + nginx;
    const ratio = rounds.map((round) => all(round[index] as Cost) / all(round[0] as Cost));
    const micros = [of(({ nodes }) => nodes), of(({ nginx }) => nginx)].map((values) => interval(values, 0));
    console.log(`| ${what} | ${name} | ${micros.join(" | ")} | ${interval(ratio, 2)} |`);
  }
}

const folder = await mkdtemp(join(tmpdir(), "huiyuan-nodes-"));
Object.assign(process.env, { HUIYUAN_TEST_SERVICES: folder, HUIYUAN_TEST_OWNER: String(process.pid) });
const rgw = await sharedRgw();
const valkey = await startValkey();
const origin = await startOrigin();
const shapes: Shape[] = [];
try {
  const source = mirrorOf(`http://127.0.0.1:${origin.port}`);
  const storeOf = async () => {
    const bucket = bucketName();
    await plainS3(rgw).makeBucket(bucket);
    const { url: endpoint, region, accessKeyId, secretAccessKey } = rgw;
    return { type: "s3", endpoint, region, bucket, accessKeyId, secretAccessKey, pathStyle: true, allowPrivate: true };
  };
  const limits = { freeDisk: "0" };
  const coordination = { type: "valkey", url: valkey.url };
  shapes.push(
    await startShape("one node, S3", 1, oneBucket(source, {}, { limits, store: await storeOf() })),
    await startShape(
      "two nodes, S3 and Valkey",
      2,
      oneBucket(source, {}, { limits, store: await storeOf(), coordination }),
    ),
    await startShape("one node, disk", 1, oneBucket(source, {}, { limits })),
  );
  const picture = await pictureOf(BYTES);
  const paths = Array.from({ length: KEYS }, (_, index) => `/${BYTES}/hit-${index}.jpg`);
  for (const shape of shapes) for (const path of [...paths, ...paths]) await verify(shape, path, picture.for(path));
  await delay(1_000); // until all are stored
  console.log(
    `load average at the start: ${loadavg().map((load) => load.toFixed(1))}; ${ROUNDS} rounds of ${SECONDS} s`,
  );
  console.log("| request, 20 KB | nodes | µs of the nodes | µs of nginx | together ÷ the first |");
  console.log("| --- | --- | --- | --- | --- |");
  await measure("hit from memory", shapes, byWrk({ kind: "random", paths }));
  await measure("miss, stored", shapes, byWrk({ kind: "new", bytes: BYTES }));
} finally {
  for (const shape of shapes) await shape.stop();
  await origin.stop();
  await valkey.close();
  spawnSync("bash", [CEPH, "stop", join(folder, "ceph")], { stdio: "ignore", timeout: 30_000 });
  await rm(folder, { recursive: true, force: true });
}
