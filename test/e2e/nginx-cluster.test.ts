// A real nginx with config/nginx-cluster.conf: which node gets which request, and what happens when a node is away.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type GetResult, get } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { install } from "../helpers/program.ts";
import { callApi, makeForm, uploadToken } from "../helpers/rest-api.ts";
import { type ScriptedService, startService } from "../helpers/scripted-service.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { oneBucket } from "../helpers/settings.ts";

const configOf = (file: string) => readFile(new URL(`../../config/${file}`, import.meta.url), "utf8");

/** nginx with the upstream of nginx-cluster.conf and the `location` of nginx.conf. */
async function nginxBefore(ports: readonly number[]): Promise<Nginx> {
  const [location] = /^ {2}location \/ \{\n.*?^ {2}\}$/ms.exec(await configOf("nginx.conf")) ?? [];
  const rest = [...ports];
  const cluster = (await configOf("nginx-cluster.conf")).replace(/(?<=^ {2}server )[\d.]+:8080/gm, (address) => {
    const port = rest.shift();
    return port === undefined ? address : `127.0.0.1:${port}`;
  });
  expect(location).toContain("proxy_pass http://huiyuan;");
  expect([rest, cluster.match(/:8080/g)]).toEqual([[], null]);
  return startNginx({ root: tmpdir(), httpConf: cluster, conf: `client_max_body_size 24m;\n${location}` });
}

describe("two nodes", needs("nginx"), () => {
  let nodes: readonly [ScriptedService, ScriptedService];
  let nginx: Nginx;

  // nginx sends nothing to a node for 10 s after a failure, so each test has its own.
  beforeEach(async () => {
    nodes = [await startService(), await startService()];
    for (const [index, node] of nodes.entries()) node.answers({ text: String(index) });
    nginx = await nginxBefore(nodes.map(({ url }) => Number(new URL(url).port)));
  });
  afterEach(async () => {
    await nginx?.remove();
    await Promise.all(nodes.map((node) => node.close().catch(() => {})));
  });

  const ask = (path: string, method = "GET"): Promise<GetResult> => get({ port: nginx.port, path, method });
  const nodeOf = async (path: string) => (await ask(path)).body.toString();
  /** A path of which this node has the images. */
  async function pathOf(node: string): Promise<string> {
    for (let number = 0; ; number += 1) {
      if ((await nodeOf(`/p${number}.jpg`)) === node) return `/p${number}.jpg`;
    }
  }
  const methodsAt = (node: ScriptedService, path: string) =>
    node.requests.filter(({ target }) => target === path).map(({ method }) => method);

  test("an image has the same node with an alias, a query and percent-encoding, and both nodes have some", async () => {
    const counts: Record<string, number> = {};
    for (let number = 0; number < 60; number += 1) {
      const path = `/2015/${number}!/图 b.jpg`;
      const plain = encodeURI(path);
      const spellings = [
        ...[
          plain,
          `${plain}?sign=abc`,
          `${plain}?imageView2/2/w/${number}`,
          `${plain}!small`,
          `${plain}%21small?sign=b`,
        ],
        plain.replace(".jpg", "%2Ejpg"),
        plain.replace("/2015/", "/2015%2F"),
      ];
      const found = new Set(await Promise.all(spellings.map(nodeOf)));
      expect([path, [...found]]).toEqual([path, [expect.stringMatching(/^[01]$/)]]);
      for (const node of found) counts[node] = (counts[node] ?? 0) + 1;
    }
    expect(Math.min(...Object.values(counts)), JSON.stringify(counts)).toBeGreaterThan(10);
    expect(Object.keys(counts)).toHaveLength(2);
  });

  test("a folder whose name has a ! is divided among the nodes", async () => {
    const paths = Array.from({ length: 40 }, (_, number) => `/a!b/${number}.jpg`);
    expect(new Set(await Promise.all(paths.map(nodeOf))).size).toBe(2);
  });

  test("the URL reaches the node unchanged", async () => {
    const path = "/a//b%2Fc%20.jpg%21small?sign=%2B";
    await ask(path);
    expect(nodes.flatMap(({ requests }) => requests.map(({ target }) => target))).toEqual([path]);
  });

  test.each(["GET", "HEAD"])("%s goes to the other node if the first one breaks the connection", async (method) => {
    const path = await pathOf("0");
    nodes[0].answers("RST");
    expect((await ask(path, method)).status).toBe(200);
    expect(nodes.map((node) => methodsAt(node, path))).toEqual([[method], [method]]);
    await ask(path, method);
    expect(methodsAt(nodes[0], path), "it is left alone after a failure").toEqual([method]);
  });

  test("no request fails while a node is gone", async () => {
    const path = await pathOf("0");
    await nodes[0].close();
    expect([(await ask(path)).body.toString(), (await ask(path, "POST")).body.toString()]).toEqual(["1", "1"]);
  });

  test.each([200_000, 0])("a POST of %d bytes that a node may have carried out is not sent again", async (bytes) => {
    const path = await pathOf("0");
    for (const node of nodes) node.answers("RST");
    const { status } = await fetch(nginx.url + path, { method: "POST", body: Buffer.alloc(bytes) });
    expect(status).toBe(502);
    expect(nodes.map((node) => methodsAt(node, path))).toEqual([["POST"], []]);
  });

  test("a 503 of a node is passed on", async () => {
    const path = await pathOf("0");
    nodes[0].answers({ status: 503, text: "busy" });
    expect([(await ask(path)).status, (await ask(path)).status]).toEqual([503, 503]);
    expect(methodsAt(nodes[1], path)).toEqual([]);
  });
});

test("all slices of an upload reach the node where it began", needs("nginx"), async () => {
  const installations = [await install(oneBucket(undefined)), await install(oneBucket(undefined))];
  const programs = await Promise.all(installations.map((each) => each.start()));
  const ports = programs.map(({ downloadPort }) => downloadPort);
  const nginx = await nginxBefore(ports);
  const packet = (port: number, path: string, fields: Readonly<Record<string, string | Buffer>>) =>
    callApi({
      ...{ port, path, sign: uploadToken() },
      form: makeForm(Object.entries({ op: "upload_slice", ...fields }).map(([name, content]) => ({ name, content }))),
    });
  try {
    const used = new Set<string>();
    for (let number = 0; number < 12; number += 1) {
      const path = `/${number}.jpg`;
      const image = await noisyJpeg(640 + number, 480); // a node asks for no slices of bytes that it has
      const whole = { sha: createHash("sha1").update(image).digest("hex"), filesize: String(image.byteLength) };
      const { data } = await packet(nginx.port, path, { ...whole, slice_size: "65536", session: "" });
      const session = data.session as string;
      const first = { session, offset: "0", fileContent: image.subarray(0, 65_536) };
      const elsewhere = await Promise.all(ports.map((port) => packet(port, path, { ...first, offset: "1" })));
      const unknown = elsewhere.map(({ code }) => code === -5983);
      expect(unknown.filter(Boolean)).toHaveLength(1);
      used.add(unknown.join());
      expect(image.byteLength).toBeGreaterThan(65_536);
      let last = {};
      for (let offset = 0; offset < image.byteLength; offset += 65_536) {
        const fileContent = image.subarray(offset, offset + 65_536);
        const answer = await packet(nginx.port, path, { session, offset: String(offset), fileContent });
        expect(answer).toMatchObject({ status: 200, code: 0 });
        last = answer.data;
      }
      expect(last).toHaveProperty("url");
    }
    expect(used.size, "both nodes took uploads").toBe(2);
  } finally {
    await nginx.remove();
    await Promise.all(programs.map((program) => program.stop()));
    for (const each of installations) await each.remove();
  }
});
