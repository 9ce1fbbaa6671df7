// config/compose.yaml: what it mounts exists, and its paths, ports and addresses fit the Dockerfile, config/nginx.conf
// and the settings. There is no Docker here to run it.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { BlockList } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadSettings } from "../../src/settings/load.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONFIG = join(ROOT, "config");
const COMPOSE = parse(readFileSync(join(CONFIG, "compose.yaml"), "utf8"));
const DOCKERFILE = readFileSync(join(ROOT, "Dockerfile"), "utf8");
const PAGE = readFileSync(join(ROOT, "docs/install/docker.md"), "utf8");
const { huiyuan, nginx } = COMPOSE.services;
const loaded = () => loadSettings(join(CONFIG, "settings/huiyuan.yaml"), { env: { HUIYUAN_SECRET_KEY: "a secret" } });

/** Source and target of each mount. */
const mountsOf = (service: { readonly volumes: readonly string[] }) => service.volumes.map((text) => text.split(":"));

test("every file that the containers mount is in config/, or docs/install/docker.md makes it", () => {
  const sources = [...mountsOf(huiyuan), ...mountsOf(nginx)].map(([source = ""]) => source);
  const relative = sources.filter((source) => source.startsWith("."));
  expect(relative.filter((source) => !existsSync(join(CONFIG, source)))).toEqual(["./backups"]);
  expect(PAGE).toContain(" install -d -o 1000 backups ");
  expect(PAGE).toContain(` backup ${Object.fromEntries(mountsOf(huiyuan))["./backups"]} `);
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

test("the settings trust the address of nginx alone, and nginx knows their public host", async () => {
  const { server, projects } = await loaded();
  const { ipv4_address } = nginx.networks.mirror;
  expect(server.trustedProxies).toEqual([ipv4_address]);
  const [subnet, bits] = COMPOSE.networks.mirror.ipam.config[0].subnet.split("/");
  const network = new BlockList();
  network.addSubnet(subnet, Number(bits));
  expect(network.check(ipv4_address)).toBe(true);
  expect(huiyuan.networks).toEqual(["mirror"]);
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
