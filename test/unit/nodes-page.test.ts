// docs/production/nodes.md and its files: config/compose-cluster.yaml and config/kubernetes.yaml fit the image, the
// nginx files and the settings. There is no Docker and no Kubernetes here to run them.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseSettings } from "../../src/settings/load.ts";
import { blocksOf } from "../helpers/page-blocks.ts";

const CONFIG = fileURLToPath(new URL("../../config/", import.meta.url));
const PAGE = "docs/production/nodes.md";
const yamlOf = (file: string) => parse(readFileSync(join(CONFIG, file), "utf8"), { merge: true });
const DOCKERFILE = readFileSync(new URL("../../Dockerfile", import.meta.url), "utf8");
const settingsOn = (part: RegExp) =>
  blocksOf(PAGE).find(({ language, text }) => language === "yaml" && part.test(text));

describe("compose-cluster.yaml", () => {
  const compose = yamlOf("compose-cluster.yaml");
  const single = yamlOf("compose.yaml");
  const { nginx, valkey, s3, bucket, ...nodes } = compose.services;

  test("runs nodes as compose.yaml runs its server, each with a data folder, a name and an address of its own", () => {
    expect(Object.keys(nodes)).toEqual(["node-1", "node-2"]);
    const { volumes, networks, env_file, ...common } = single.services.huiyuan;
    for (const [name, node] of Object.entries<typeof compose>(nodes)) {
      expect(node).toMatchObject({ ...common, env_file, hostname: name });
      expect(node.volumes[0]).toBe(volumes[0]);
      expect(node.volumes[1]).toMatch(/^data-\d:\/data$/);
    }
    const own = (pick: (node: typeof compose) => unknown) => new Set(Object.values(nodes).map(pick)).size;
    expect([own(({ volumes: [, data] }) => data), own((node) => node.networks.mirror.ipv4_address)]).toEqual([2, 2]);
    expect(compose.networks).toEqual(single.networks);
  });

  test("mounts files of config/ and volumes that it declares", () => {
    const sources = Object.values<typeof compose>(compose.services).flatMap(({ volumes = [] }) =>
      volumes.map((text: string) => text.split(":")[0]),
    );
    const files = sources.filter((source) => source.startsWith("."));
    expect(files.filter((source) => !existsSync(join(CONFIG, source)))).toEqual([]);
    expect(new Set(sources.filter((source) => /^\w/.test(source)))).toEqual(new Set(Object.keys(compose.volumes)));
  });

  test("nginx has the addresses of the nodes, and the servers of nginx.conf without its upstream", () => {
    const cluster = readFileSync(join(CONFIG, "nginx-cluster.conf"), "utf8");
    const addresses = Object.values<typeof compose>(nodes).map((node) => `${node.networks.mirror.ipv4_address}:8080`);
    expect(cluster.match(/(?<=^ {2}server )[\d.:]+/gm)).toEqual(addresses);

    const { command, volumes, ports, networks } = nginx;
    expect([ports, networks]).toEqual([single.services.nginx.ports, single.services.nginx.networks]);
    expect(volumes).toContain("./nginx-cluster.conf:/etc/nginx/conf.d/cluster.conf:ro");
    const [edit = "", start] = command[2].split(" && ");
    expect(start).toBe("exec nginx -g 'daemon off;'");
    expect(edit).toMatch(/ \/etc\/nginx\/huiyuan\.conf >\/etc\/nginx\/conf\.d\/default\.conf$/);
    const whole = readFileSync(join(CONFIG, "nginx.conf"), "utf8");
    const here = edit.replace(/ \/etc.*/, ` ${join(CONFIG, "nginx.conf")}`);
    const conf = execFileSync("sh", ["-c", here], { encoding: "utf8" });
    expect(conf).not.toMatch(/upstream|127\.0\.0\.1/);
    expect(conf).toContain(whole.slice(whole.indexOf("server {")));
    expect(readFileSync(new URL(`../../${PAGE}`, import.meta.url), "utf8")).toContain(
      edit.replace(/ \/etc.*/, " nginx.conf"),
    );
  });

  test("the settings with the lines of the page reach its S3, its bucket and its Valkey", () => {
    const lines = settingsOn(/http:\/\/s3:/)?.text ?? "";
    const text = readFileSync(join(CONFIG, "settings/huiyuan.yaml"), "utf8") + lines;
    const env = { HUIYUAN_SECRET_KEY: "a secret", S3_SECRET: "of S3", ...compose.services["node-1"].environment };
    const { store, coordination, data } = parseSettings(text, { env, file: "/huiyuan.yaml", readFile: () => "" });
    expect(data).toBe("/data");
    expect(store).toMatchObject({ type: "s3", endpoint: "http://s3:9000", secretAccessKey: "of S3" });
    const { accessKeyId, bucket: name } = store as unknown as Record<string, string>;
    expect(s3.environment.MINIO_ROOT_USER).toBe(accessKeyId);
    expect(bucket.entrypoint[2]).toMatch(RegExp(`http://s3:9000 ${accessKeyId} "\\$\\$S3_SECRET" .* s3/${name}$`));
    expect(coordination).toMatchObject({ url: "redis://valkey:6379" });
    expect(valkey.ports).toBeUndefined();
  });
});

describe("kubernetes.yaml", () => {
  const [service, set] = yamlOf("kubernetes.yaml").items;
  const { terminationGracePeriodSeconds, securityContext, containers, volumes } = set.spec.template.spec;
  const [container] = containers;

  test("pods have the user, the ports and the folders of the image", () => {
    expect(container.ports.map((port: { containerPort: number }) => port.containerPort)).toEqual([8080, 8081]);
    expect(DOCKERFILE).toContain("EXPOSE 8080 8081\n");
    expect(DOCKERFILE).toContain("VOLUME /data\n");
    const paths = container.volumeMounts.map(({ mountPath }: { mountPath: string }) => mountPath);
    expect(paths).toEqual(["/etc/huiyuan", "/data"]);
    const names = [...volumes, ...set.spec.volumeClaimTemplates.map(({ metadata }: typeof set) => metadata)];
    expect(container.volumeMounts.map(({ name }: { name: string }) => name)).toEqual(names.map(({ name }) => name));
    expect(securityContext).toMatchObject({ runAsUser: 1000, fsGroup: 1000 }); // `node` of the image
  });

  test("the Service and the StatefulSet select the pods", () => {
    const { labels } = set.spec.template.metadata;
    expect([service.spec.selector, set.spec.selector.matchLabels]).toEqual([labels, labels]);
    expect([set.spec.serviceName, service.spec.ports[0].targetPort]).toEqual([service.metadata.name, 8080]);
  });

  test("the probes request what the settings of the page serve, and a stop has time for drainDelay and 10 s", () => {
    const part = parse(settingsOn(/^server:.*drainDelay/m)?.text ?? "");
    const whole = { ...parse(readFileSync(join(CONFIG, "settings/huiyuan.yaml"), "utf8")), ...part };
    const env = { HUIYUAN_ADMIN_TOKEN: "a-long-random-token", HUIYUAN_SECRET_KEY: "a secret" };
    const { server } = parseSettings(JSON.stringify(whole), { env, file: "/huiyuan.yaml", readFile: () => "" });
    expect(container.readinessProbe.httpGet).toEqual({ path: server.healthPath, port: server.port });
    expect(container.livenessProbe.httpGet).toEqual({ path: "/healthz", port: server.adminPort });
    expect(server.adminHost).toBe("0.0.0.0");
    expect(terminationGracePeriodSeconds * 1_000).toBeGreaterThan(server.drainDelay + 10_000);
    // Not ready for two checks, which must end before the port closes.
    const { periodSeconds, failureThreshold } = container.readinessProbe;
    expect(server.drainDelay).toBeGreaterThan(periodSeconds * failureThreshold * 1_000);
  });
});
