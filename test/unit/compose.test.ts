// config/compose.yaml: what it mounts exists, and its paths, ports and addresses fit the Dockerfile, config/nginx.conf
// and the settings. There is no Docker here to run it.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadSettings } from "../../src/settings/load.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIG = join(ROOT, "config");
const COMPOSE = parse(readFileSync(join(CONFIG, "compose.yaml"), "utf8"));
const DOCKERFILE = readFileSync(join(ROOT, "Dockerfile"), "utf8");
const { huiyuan, nginx } = COMPOSE.services;
const loaded = () => loadSettings(join(CONFIG, "settings/huiyuan.yaml"), { env: { HUIYUAN_SECRET_KEY: "a secret" } });

/** Source and target of each mount. */
const mountsOf = (service: { readonly volumes: readonly string[] }) => service.volumes.map((text) => text.split(":"));

test("all keys are in the compose specification", () => {
  const known = ["image", "restart", "env_file", "volumes", "networks", "stop_grace_period", "read_only", "cap_drop"];
  known.push("security_opt", "depends_on", "command", "ports");
  expect([huiyuan, nginx].flatMap(Object.keys).filter((key) => !known.includes(key))).toEqual([]);
  expect(Object.keys(COMPOSE)).toEqual(["name", "services", "networks", "volumes"]);
  expect(nginx.depends_on).toEqual({ huiyuan: { condition: "service_healthy", restart: true } });
  expect(DOCKERFILE).toContain("HEALTHCHECK ");
});

test("every file that the containers mount is in config/", () => {
  const sources = [...mountsOf(huiyuan), ...mountsOf(nginx)].map(([source = ""]) => source);
  const relative = sources.filter((source) => source.startsWith("."));
  expect(relative).toEqual(["./settings", "./nginx.conf"]);
  expect(relative.filter((source) => !existsSync(join(CONFIG, source)))).toEqual([]);
  expect(sources.filter((source) => /^\w/.test(source))).toEqual(Object.keys(COMPOSE.volumes));
});

test("the settings are valid, and their data folder is the volume of the Dockerfile", async () => {
  const settings = await loaded();
  const mounts = Object.fromEntries(mountsOf(huiyuan));
  expect(settings.data).toBe(mounts.data);
  expect(DOCKERFILE).toContain(`VOLUME ${settings.data}\n`);
  const command = JSON.parse(/^CMD (.*)$/m.exec(DOCKERFILE)?.[1] ?? "");
  expect(command).toEqual(["serve", "--config", `${mounts["./settings"]}/huiyuan.yaml`]);
});

test("the settings trust the network that nginx is in, and nginx knows their public host", async () => {
  const { server, projects } = await loaded();
  expect(COMPOSE.networks.mirror.ipam.config).toEqual([{ subnet: server.trustedProxies[0] }]);
  expect([huiyuan.networks, nginx.networks]).toEqual([["mirror"], ["mirror"]]);
  const conf = readFileSync(join(CONFIG, "nginx.conf"), "utf8");
  expect(conf).toContain(`server_name ${projects[0]?.buckets[0]?.publicDomain} `);
  expect(nginx.ports).toEqual([...new Set(conf.match(/(?<=listen )\d+/g))].map((port) => `${port}:${port}`));
});

test("nginx starts with nginx.conf, in which the container's name replaces the loopback address", async () => {
  const [shell, flag, line] = nginx.command;
  const [, mounted = ""] = mountsOf(nginx).find(([source]) => source === "./nginx.conf") ?? [];
  const [edit = "", start] = line.split(" && ");
  expect([shell, flag, start]).toEqual(["sh", "-c", "exec nginx -g 'daemon off;'"]);
  expect(edit).toMatch(/ >\/etc\/nginx\/conf\.d\/default\.conf$/);
  const here = edit.replace(mounted, join(CONFIG, "nginx.conf")).replace(/ >.*/, "");
  const conf = execFileSync("sh", ["-c", here], { encoding: "utf8" });
  const { server } = await loaded();
  expect(conf.match(/^ *server .*;$/gm)).toEqual([`  server huiyuan:${server.port};`]);
  expect(DOCKERFILE).toMatch(new RegExp(`^EXPOSE ${server.port} `, "m"));
});

test("docs/production/nginx.md shows config/nginx.conf", () => {
  const [, shown] =
    /^```nginx file=huiyuan\.conf\n(.*?)^```$/ms.exec(readFileSync(join(ROOT, "docs/production/nginx.md"), "utf8")) ??
    [];
  expect(shown).toBe(readFileSync(join(CONFIG, "nginx.conf"), "utf8"));
});

test("a stop has time for the server's own 10 s and its drainDelay", async () => {
  const { server } = await loaded();
  expect(Number.parseInt(huiyuan.stop_grace_period, 10) * 1_000).toBeGreaterThan(server.drainDelay + 10_000);
});
