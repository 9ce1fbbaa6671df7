// The public address in responses: behind a real nginx that terminates TLS, as in docs/guides/switch.md, and after the
// settings change while the server runs.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Agent, buildConnector, fetch as fetchThrough } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Client, createClient, verifyCallback } from "../../src/client/client.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { eventually, huiyuan, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, uploadToken } from "../helpers/rest-api.ts";
import { type ScriptedService, startService } from "../helpers/scripted-service.ts";
import { type Nginx, needs, startNginx } from "../helpers/services.ts";
import { APPID, KEYS } from "../helpers/settings.ts";

const TRY_HOST = "try.example.com";
const HOST = "img.example.com";
const MEMBERS_HOST = "members.example.com";
const API_HOST = "api.example.com";
const CERTIFICATE = fileURLToPath(new URL("../fixtures/tls/cert.pem", import.meta.url));
const TLS = { certificate: CERTIFICATE, key: fileURLToPath(new URL("../fixtures/tls/key.pem", import.meta.url)) };

function settingsWith(server: object, bucket: object): object {
  const buckets = [
    { name: "photos", domains: [{ host: TRY_HOST }, { host: HOST }], ...bucket },
    { name: "members", token: "required", domains: [{ host: MEMBERS_HOST }] },
  ];
  return { server, projects: [{ appid: APPID, keys: [KEYS[0]], buckets }] };
}

let jpeg: Buffer;
let installation: Installation;
let program: Program;

beforeAll(async () => {
  jpeg = await noisyJpeg(320, 240);
});

describe("behind nginx with TLS", needs("nginx"), () => {
  const SECRET = "the secret of the callback";
  let business: ScriptedService;
  let nginx: Nginx;
  let agent: Agent;

  beforeAll(async () => {
    business = await startService();
    business.answers({ json: {} });
    const callback = { url: business.url, secret: SECRET, allowPrivate: true };
    const settings = settingsWith({ publicScheme: "https" }, { publicDomain: HOST, callback });
    installation = await install(settings);
    program = await installation.start();
    nginx = await startNginx({ root: installation.folder, conf: await guideProxy(program.downloadPort), tls: TLS });
    agent = await agentFor(nginx.port);
  });
  afterAll(async () => {
    await agent?.close();
    await nginx?.remove();
    await program?.stop();
    await installation?.remove();
    await business?.close();
  });

  const clientOf = (bucket: string): Client =>
    createClient({
      ...{ endpoint: `https://${API_HOST}`, appid: APPID, bucket, ...KEYS[0] },
      fetch: through as unknown as typeof fetch, // undici's own types differ from those of node's fetch.
    });
  const through = (url: string, init = {}) => fetchThrough(url, { ...init, dispatcher: agent });
  const answerOf = async (url: string) => {
    const response = await through(url);
    return { status: response.status, body: Buffer.from(await response.arrayBuffer()) };
  };
  const signed = async (bucket: string, fileid: string) => {
    const args = ["sign", "download", fileid, "--bucket", bucket, "--config", installation.file];
    return (await huiyuan(args)).out.trim();
  };

  test("an upload, a stat, a callback and `huiyuan sign` return the same URL, and nginx serves it", async () => {
    const fileid = "2016/图 1.jpg";
    const client = clientOf("photos");
    const { downloadUrl } = await client.upload(jpeg, { fileid });
    expect(downloadUrl).toBe(`https://${HOST}/2016/%E5%9B%BE%201.jpg`);
    expect((await client.stat(fileid))?.downloadUrl).toBe(downloadUrl);
    const verdict = verifyCallback(business.requests[0]?.body ?? "", { secret: SECRET });
    const told = verdict.ok ? verdict.notice.url : "";
    expect(told).toBe(downloadUrl);
    const signedUrl = await signed("photos", fileid);
    expect(signedUrl.split("?")[0]).toBe(downloadUrl);
    for (const url of [downloadUrl, told, signedUrl]) expect(await answerOf(url)).toEqual({ status: 200, body: jpeg });
  });

  test("a signed URL opens a bucket that requires a token", async () => {
    const { downloadUrl } = await clientOf("members").upload(jpeg, { fileid: "a.jpg" });
    expect(downloadUrl).toBe(`https://${MEMBERS_HOST}/a.jpg`);
    expect((await answerOf(downloadUrl)).status).toBe(403);
    expect(await answerOf(await signed("members", "a.jpg"))).toEqual({ status: 200, body: jpeg });
  });

  test("the API's own URL of an image works too", async () => {
    const { url } = await clientOf("photos").upload(jpeg, { fileid: "2016/2.jpg" });
    expect(url).toBe(`https://${API_HOST}/photos/v2/${APPID}/photos/0/2016%2F2.jpg`);
    const { status, body } = await answerOf(url);
    expect([status, JSON.parse(body.toString()).code]).toEqual([200, 0]);
  });

  test("huiyuan check names the same address", async () => {
    const { out } = await huiyuan(["check", "--config", installation.file]);
    expect(out).toContain(`public address of ${APPID}/photos: https://${HOST}\n`);
  });

  /** The guide's `location` block, with the port of this server. */
  async function guideProxy(port: number): Promise<string> {
    const text = await readFile(new URL("../../docs/guides/switch.md", import.meta.url), "utf8");
    const [, block = ""] = /```nginx\n(.*?)```/s.exec(text) ?? [];
    expect(block).toContain("127.0.0.1:8080");
    return block.replace("127.0.0.1:8080", `127.0.0.1:${port}`);
  }

  /** Dials nginx for every https URL without a port, whatever the host. */
  async function agentFor(port: number): Promise<Agent> {
    // The certificate is for another name. The answers show that nginx passes the right host on.
    const dial = buildConnector({ ca: await readFile(CERTIFICATE), checkServerIdentity: () => undefined });
    return new Agent({
      connect(options, callback) {
        if (options.protocol === "https:" && (options.port === "" || options.port === "443")) {
          dial({ ...options, hostname: "127.0.0.1", port: String(port) }, callback);
        } else callback(new Error(`${options.protocol}//${options.host} is not the public address`), null);
      },
    });
  }
});

describe("a server that clients reach directly", () => {
  beforeEach(async () => {
    installation = await install(settingsWith({}, {}));
    program = await installation.start();
  });
  afterEach(async () => {
    await program?.stop();
    await installation?.remove();
  });

  const call = (path: string) => callApi({ port: program.downloadPort, path, host: `${API_HOST}:8080` });
  const fileUrl = async () => (await call("/a.jpg")).data.file_url;

  test("returns URLs with its bound port, and applies a new public address without a restart", async () => {
    const { data } = await callApi({
      port: program.downloadPort,
      path: "/a.jpg",
      host: `${API_HOST}:8080`,
      sign: uploadToken(),
      form: fileForm(jpeg),
    });
    expect(data).toMatchObject({
      url: `http://${API_HOST}:8080/photos/v2/${APPID}/photos/0/a.jpg`,
      download_url: `http://${TRY_HOST}:${program.downloadPort}/a.jpg`,
    });
    const changes: readonly [server: object, bucket: object, url: string][] = [
      [{ publicScheme: "https" }, {}, `https://${TRY_HOST}/a.jpg`],
      [{ publicScheme: "https", publicPort: 8443 }, {}, `https://${TRY_HOST}:8443/a.jpg`],
      [{ publicPort: 80 }, { publicDomain: HOST }, `http://${HOST}/a.jpg`],
      [{ port: 8079 }, { publicDomain: HOST }, `http://${HOST}:${program.downloadPort}/a.jpg`],
    ];
    for (const [server, bucket, url] of changes) {
      await installation.write(settingsWith(server, bucket));
      await eventually(async () => (await fileUrl()) === url, `file_url is ${url}`);
    }
    // Only a new listening port needs a restart.
    const notes = () => [...program.output.matchAll(/"restartNeededFor":(\[.*?\])/g)].map(([, keys]) => keys);
    await eventually(() => notes().length >= changes.length, "the last reload is logged");
    expect(notes()).toEqual(["[]", "[]", "[]", '["server.port"]']);
  });
});
