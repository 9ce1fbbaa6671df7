// config/monitoring with Prometheus's own tools and the running program: the files are valid, the rules fire as their
// tests say, and every metric exists with its labels. A real Prometheus raises an alert when the origin dies.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { HuiyuanError } from "../../src/core/errors.ts";
import { createMetrics } from "../../src/http/admin/metrics.ts";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { alertRules, dashboardQueries, MONITORING } from "../helpers/monitoring.ts";
import { eventually, huiyuan, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs, programPath } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const TOKEN = "the-token-of-the-admin-port";
const env = { HUIYUAN_ADMIN_TOKEN: TOKEN };
const runProgram = promisify(execFile);
let folder: string;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  const jpeg = await noisyJpeg(40, 30);
  origin = await startScriptedOrigin((request, connection) =>
    connection.send(
      request.target.includes("none") ? "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n" : response(jpeg),
    ),
  );
  const nobody = `http://127.0.0.1:${await freePort()}/`;
  const callback = { url: nobody, secret: "the secret of the callback", onFailure: "accept", allowPrivate: true };
  const settings = oneBucket(
    mirrorOf(origin.url, { breaker: { failures: 3, within: "10s", open: "1s" } }),
    { callback },
    { server: { adminToken: TOKEN }, limits: { perClient: { rendersPerSecond: 1, burst: 1 } } },
  );
  installation = await install(settings);
  program = await installation.start();
  // A copy, because the configuration names files beside it.
  folder = await mkdtemp(join(tmpdir(), "huiyuan-monitoring-"));
  await cp(MONITORING, folder, { recursive: true });
  await writeFile(join(folder, "huiyuan-token"), TOKEN);
});
afterAll(async () => {
  await program?.kill();
  await Promise.all([installation?.remove(), origin?.close(), rm(folder, { recursive: true, force: true })]);
});

const download = (path: string) => get({ port: program.downloadPort, path });

async function scrape(): Promise<string> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  return (await get({ port: program.adminPort, host: "127.0.0.1", path: "/metrics", headers })).body.toString();
}

/** Something of everything that a metric with labels counts. */
async function causeEverything(): Promise<void> {
  for (const path of ["/a.jpg", "/a.jpg", "/none.jpg"]) await download(path);
  const renders = await Promise.all([9, 8, 7, 6, 5].map((width) => download(`/a.jpg?imageView2/2/w/${width}`)));
  expect(renders.map(({ status }) => status)).toContain(429);
  const form = fileForm(await noisyJpeg(50, 40));
  await callApi({ port: program.downloadPort, path: "/up.jpg", form, sign: uploadToken("up.jpg") });
  const admin = `http://127.0.0.1:${program.adminPort}`;
  const purged = await huiyuan(["purge", "a.jpg", "--admin", admin, "--bucket", "photos"], { env });
  expect(purged.code, purged.err).toBe(0);
  await download("/a.jpg");
  expect((await huiyuan(["backup", join(folder, "backups"), "--config", installation.file])).code).toBe(0);
}

/** Metric → its labels, of Prometheus text. */
function labelsByMetric(text: string): ReadonlyMap<string, ReadonlySet<string>> {
  const metrics = new Map<string, Set<string>>();
  for (const [, name = ""] of text.matchAll(/^# TYPE (\S+)/gm)) metrics.set(name, new Set());
  for (const [, name = "", labels = ""] of text.matchAll(/^(\w+)(?:\{(.*)\})? /gm)) {
    const known = metrics.get(name) ?? new Set<string>();
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label);
    metrics.set(name, known);
  }
  return metrics;
}

/** Labels that cannot be caused within seconds: the program's own counters, counted up in this process. */
async function labelsWithoutTraffic(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const metrics = createMetrics();
  metrics.mirror.notStored("store_full");
  metrics.variants.failed(new HuiyuanError("render_timeout", "a render took too long"));
  const none = () => 0;
  const { text } = await metrics.scrape({
    memory: () => ({ objects: 0, bytes: 0 }),
    spool: () => ({ spools: 0, bytes: 0 }),
    storing: () => ({ depth: 0, oldestMs: 0 }),
    ...{ damaged: none, fills: none, uploads: none, sliceUploads: none },
    origins: () => [],
    outboxCounts: async () => [],
    backups: async () => ({}),
    renders: () => ({ running: 0, waiting: 0 }),
    disk: async () => undefined,
    isReady: async () => true,
  });
  metrics.stop();
  return labelsByMetric(text);
}

test("every metric of the alerts and the dashboard exists with the labels that are used", async () => {
  await causeEverything();
  const [real, counted] = [labelsByMetric(await scrape()), await labelsWithoutTraffic()];
  const queries = [...alertRules().map(({ expr }) => expr), ...dashboardQueries()];
  const labelsOf = (name: string) => ["job", "instance", ...(real.get(name) ?? []), ...(counted.get(name) ?? [])];
  const unknown = queries.flatMap((query) => {
    const metrics = [...query.matchAll(/\b(huiyuan_\w+)(?:\{([^}]*)\})?/g)];
    const grouped = [...query.matchAll(/\b(?:by|on) \(([^)]+)\)/g)].flatMap(([, list = ""]) => list.split(/,\s*/));
    const known = metrics.flatMap(([, name = ""]) => labelsOf(name));
    const wrong = metrics.flatMap(([, name = "", selector = ""]) => {
      const used = [...selector.matchAll(/(\w+)(?:=|!=|=~|!~)"/g)].map(([, label = ""]) => label);
      return [...(real.has(name) ? [] : [name]), ...used.filter((label) => !labelsOf(name).includes(label))];
    });
    return [...wrong, ...grouped.filter((label) => !known.includes(label))].map((what) => `${what} in ${query}`);
  });
  expect(unknown).toEqual([]);
  expect(queries.length).toBeGreaterThan(50);
});

describe("Prometheus", needs("prometheus"), () => {
  const promtool = (...args: readonly string[]) => runProgram("promtool", args, { cwd: folder });

  test("promtool accepts the configuration and the rules, and every test of the rules passes", async () => {
    expect((await promtool("check", "config", "prometheus.yaml")).stdout).toContain("19 rules found");
    expect((await promtool("test", "rules", "alerts.test.yaml")).stdout).toContain("SUCCESS");
  });

  test("promtool accepts every query of the dashboard", async () => {
    const rules = dashboardQueries().map((expr, at) => ({ record: `panel:${at}`, expr }));
    await writeFile(join(folder, "panels.yaml"), JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    expect((await promtool("check", "rules", "panels.yaml")).stdout).toContain(`${rules.length} rules found`);
  });

  test("it reads the program with the token, and raises the alerts when the origin and the program die", async () => {
    const port = await freePort();
    await writeFile(join(folder, "prometheus.yml"), await quickConfiguration());
    const server = spawn(
      programPath("prometheus") ?? "",
      ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", `--web.listen-address=127.0.0.1:${port}`],
      { cwd: folder, stdio: "ignore" },
    );
    try {
      await eventually(async () => (await stateOf("HuiyuanDown", port)) === "inactive", "rules are evaluated", 60_000);
      await eventually(async () => (await sampleOf("up", port)) === "1", "the program is read", 30_000);
      expect(await stateOf("HuiyuanOriginBreakerOpen", port)).toBe("inactive");
      await origin.close();
      const missing = async () => {
        await download(`/missing-${Math.random()}.jpg`);
        return (await stateOf("HuiyuanOriginBreakerOpen", port)) === "firing";
      };
      await eventually(missing, "the breaker's alert fires", 60_000);
      expect(await summariesOf("HuiyuanOriginBreakerOpen", port)).toEqual([
        `The origin ${origin.url} keeps failing; missing images on 127.0.0.1:${program.adminPort} get 424`,
      ]);
      expect(await stateOf("HuiyuanDown", port)).toBe("inactive");
      await program.stop();
      await eventually(
        async () => (await stateOf("HuiyuanDown", port)) === "firing",
        "the server's alert fires",
        30_000,
      );
    } finally {
      await end(server);
    }
  });

  /** prometheus.yaml with the program's port, a scrape each second, and alerts that fire after one second. */
  async function quickConfiguration(): Promise<string> {
    const rules = await readFile(join(folder, "alerts.yaml"), "utf8");
    await writeFile(join(folder, "quick.yaml"), rules.replace(/for: \w+/g, "for: 1s"));
    const text = await readFile(join(folder, "prometheus.yaml"), "utf8");
    const quick = text.replaceAll(/interval: 15s/g, "interval: 1s").replace("[alerts.yaml]", "[quick.yaml]");
    return quick.replace("127.0.0.1:8081", `127.0.0.1:${program.adminPort}`);
  }

  /** `inactive`, `pending` or `firing`; undefined before the first evaluation, and while Prometheus starts. */
  async function stateOf(name: string, port: number): Promise<string | undefined> {
    const { data } = await api("rules?type=alert", port);
    const [group] = (data?.groups ?? []) as { rules: { name: string; state: string; lastEvaluation: string }[] }[];
    const rule = group?.rules.find((each) => each.name === name);
    return rule === undefined || rule.lastEvaluation.startsWith("0001") ? undefined : rule.state;
  }

  async function summariesOf(name: string, port: number): Promise<readonly string[]> {
    const { data } = await api("alerts", port);
    const alerts = (data?.alerts ?? []) as { labels: { alertname: string }; annotations: { summary: string } }[];
    return alerts.flatMap(({ labels, annotations }) => (labels.alertname === name ? [annotations.summary] : []));
  }

  async function sampleOf(query: string, port: number): Promise<string | undefined> {
    const { data } = await api(`query?query=${query}`, port);
    return ((data?.result ?? []) as { value: [number, string] }[])[0]?.value[1];
  }

  async function api(path: string, port: number): Promise<{ readonly data?: Readonly<Record<string, unknown>> }> {
    const answer = await get({ port, host: "127.0.0.1", path: `/api/v1/${path}` }).catch(() => undefined);
    return answer?.status === 200 ? JSON.parse(answer.body.toString()) : {};
  }

  async function end(server: ChildProcess): Promise<void> {
    if (server.exitCode !== null) return;
    const exited = once(server, "exit");
    server.kill("SIGKILL");
    await exited;
  }
});
