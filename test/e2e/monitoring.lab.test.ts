// config/monitoring with Prometheus's own tools and the running program: the files are valid, and the rules fire as
// their tests say. A real Prometheus raises an alert when the origin dies.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { dashboardQueries, MONITORING } from "../helpers/monitoring.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { response, type ScriptedOrigin, startScriptedOrigin } from "../helpers/scripted-origin.ts";
import { freePort, needs, programPath } from "../helpers/services.ts";
import { mirrorOf, oneBucket } from "../helpers/settings.ts";

const TOKEN = "the-token-of-the-admin-port";
const runProgram = promisify(execFile);
let folder: string;
let origin: ScriptedOrigin;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  const jpeg = await noisyJpeg(40, 30);
  origin = await startScriptedOrigin((_, connection) => connection.send(response(jpeg)));
  const mirror = mirrorOf(origin.url, { breaker: { failures: 3, within: "10s", open: "1s" } });
  installation = await install(oneBucket(mirror, {}, { server: { adminToken: TOKEN } }));
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

describe("Prometheus", needs("prometheus"), () => {
  const promtool = (...args: readonly string[]) => runProgram("promtool", args, { cwd: folder });

  test("promtool accepts the configuration and the rules, and every test of the rules passes", async () => {
    expect((await promtool("check", "config", "prometheus.yaml")).stdout).toContain("21 rules found");
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
