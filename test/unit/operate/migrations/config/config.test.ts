import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";
import { ConfigFaults, checkConfig, loadConfig } from "../../../../../src/operate/migrations/config/config.ts";
import { readIni } from "../../../../../src/operate/migrations/config/options.ts";

const PROJECT = { "appinfo.appid": "1", "appinfo.secretid": "I", "appinfo.secretkey": "K", "appinfo.bucket": "b" };
const APP = { ...PROJECT, "appinfo.endpoint": "http://127.0.0.1:8080" };
const LOCAL = { "migrate.type": "Local", "local.image_root_path": "/tmp/" };
const QINIU = {
  "migrate.type": "3",
  "qiniu.bucket": "q",
  "qiniu.accesskey": "A",
  "qiniu.secretkey": "S",
  "qiniu.domain": "http://q.example/",
};

function check(options: Readonly<Record<string, string>>, isStore = false) {
  return checkConfig(new Map(Object.entries(options).filter(([, value]) => value !== "")), { isStore });
}

function faultsOf(work: () => unknown): readonly string[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ConfigFaults) return error.faults;
    throw error;
  }
  return [];
}

const S3 = { "migrate.type": "S3", "s3.bucket": "bucket", "s3.accesskey": "A", "s3.secretkey": "S" };
const OSS = { "migrate.type": "Oss", "oss.bucket": "o", "oss.accesskey": "A", "oss.secretkey": "S" };

test.each([
  [
    { "migrate.type": "1", "local.image_root_path": "/tmp" },
    { type: "local", root: "/tmp", isNamedByMd5: false },
  ],
  [LOCAL, { type: "local", root: "/tmp" }],
  [
    { ...LOCAL, "migrate.type": "local_md5" },
    { type: "local", isNamedByMd5: true },
  ],
  [
    { "migrate.type": "URLList", "url.url_list_file_path": "/etc/hostname" },
    { type: "url-list", file: "/etc/hostname", encoded: "auto" },
  ],
  [
    { "migrate.type": "2", "url.url_list_file_path": "-", "url.encoded": "RAW" },
    { file: "-", encoded: "raw" },
  ],
  [
    { ...QINIU, "qiniu.isprivate": "Y", "qiniu.start_offset": "5", "qiniu.total_num": "7" },
    { type: "qiniu", domain: "http://q.example", isPrivate: true, startOffset: 5, total: 7 },
  ],
  [
    { ...QINIU, "qiniu.referer": "https://r.example/", "qiniu.endpoint": "https://rsf-z1.qbox.me" },
    { referer: "https://r.example", endpoint: "https://rsf-z1.qbox.me" },
  ],
  [QINIU, { isPrivate: false, startOffset: 0, total: Number.POSITIVE_INFINITY, referer: undefined }],
  [
    { ...OSS, "oss.endpoint": "oss-cn-hangzhou.aliyuncs.com", "oss.iscname": "False" },
    { type: "s3", preset: "oss", endpoint: "http://oss-cn-hangzhou.aliyuncs.com", bucket: "o", isAlias: false },
  ],
  [
    {
      ...OSS,
      "oss.endpoint": "https://img.example.com",
      "oss.iscname": "1",
      "oss.region": "cn-beijing",
      "oss.referer": "http://r.example",
    },
    { type: "s3", preset: "oss", endpoint: "https://img.example.com", isAlias: true, referer: "http://r.example" },
  ],
  [
    { ...OSS, "oss.endpoint": "https://oss.example.com", "oss.region": "cn-beijing" },
    { type: "s3", preset: "oss", region: "cn-beijing", endpoint: "https://oss.example.com" },
  ],
  [
    { ...S3, "s3.preset": "COS", "s3.region": "ap-guangzhou" },
    { type: "s3", preset: "cos", region: "ap-guangzhou", endpoint: undefined, pathStyle: undefined },
  ],
  [
    { ...S3, "s3.endpoint": "http://127.0.0.1:9000", "s3.pathstyle": "yes" },
    { type: "s3", preset: undefined, endpoint: "http://127.0.0.1:9000", pathStyle: true },
  ],
])("checkConfig() reads the source of %j", (options, expected) => {
  expect(check({ ...APP, ...options }).source).toMatchObject(expected);
});

test("checkConfig() names every fault at once", () => {
  const options = {
    "migrate.type": "Qiniu",
    "qiniu.domain": "no-scheme.example",
    "qiniu.isprivate": "maybe",
    "qiniu.total_num": "-1",
    concurrency: "0",
    "jobqueue.reload.threshold": "1.5",
    "db.commit.interval": "0",
    "fileid.ignore.if": "(?=a)",
    "fileid.ignore.execute": "ignore = True",
  };
  const faults = faultsOf(() => check(options)).join("\n");
  const names = ["qiniu.bucket is required", "qiniu.AccessKey is required", "qiniu.SecretKey is required"];
  for (const name of [...names, ...Object.keys(options).slice(1)]) expect(faults).toContain(`Option ${name}`);
  const rest =
    "Required: appinfo.appid, appinfo.bucket, appinfo.secretID, appinfo.secretKey, appinfo.endpoint, unless ";
  expect(faults).toContain(rest);
});

test.each([
  [{ ...APP }, "Option migrate.type is required."],
  [{ ...APP, "migrate.type": "4" }, "Option migrate.type must be one of"],
  [{ ...APP, "migrate.type": "constructor" }, "Option migrate.type must be one of"],
  [{ ...APP, ...QINIU, "qiniu.referer": "r.example" }, "Option qiniu.referer must be a URL with its scheme"],
  [{ ...APP, ...OSS }, "Option oss.endpoint is required."],
  [{ ...APP, ...OSS, "oss.endpoint": "ftp://h" }, "Option oss.endpoint must be a URL"],
  [{ ...APP, ...OSS, "oss.endpoint": "oss.example.com" }, "the preset oss needs a region"],
  [{ ...APP, ...LOCAL, "local.image_root_path": "tmp" }, "local.image_root_path must be the absolute path of a folder"],
  [{ ...APP, ...LOCAL, "local.image_root_path": "/nowhere" }, "local.image_root_path must be"],
  [{ ...APP, ...LOCAL, "local.image_root_path": `/${"x".repeat(300)}` }, "local.image_root_path must be"],
  [{ ...APP, ...LOCAL, "appinfo.secretid": "" }, "Required: appinfo.secretID, unless --settings FILE"],
  // The old tool had a host of its own: nothing is sent there unasked.
  [
    { ...PROJECT, ...LOCAL },
    "Required: appinfo.endpoint, unless --settings FILE or --admin URL names the target. " +
      "Set appinfo.endpoint to the URL of your REST API, such as http://127.0.0.1:8080; none is assumed.",
  ],
  [{ ...APP, "migrate.type": "URLList", "url.url_list_file_path": "/tmp" }, "must be the absolute path of a file"],
  [{ ...APP, ...LOCAL, "appinfo.endpoint": "http://u:p@h/" }, "Option appinfo.endpoint must be a URL"],
  [{ ...APP, ...S3 }, "Option s3.endpoint is required."],
  [{ ...APP, ...S3, "s3.preset": "other" }, "Option s3.preset must be one of aws, oss, cos"],
  [{ ...APP, ...S3, "s3.preset": "obs" }, "the preset obs needs a region, such as cn-north-4"],
])("checkConfig(%j) has one fault", (options, expected) => {
  const faults = faultsOf(() => check(options));
  expect(faults.length).toBe(1);
  expect(faults[0]).toContain(expected);
});

test.each(["true False", "1 0", "T f", "YES No", "y n"])("checkConfig() reads the flags %s", (words) => {
  const flags = words.split(" ").map((word) => check({ ...APP, ...QINIU, "qiniu.isprivate": word }).source);
  expect(flags).toMatchObject([{ isPrivate: true }, { isPrivate: false }]);
});

test.each([
  [
    { concurrency: "1000", "jobqueue.capacity": "1", "jobqueue.reload.threshold": "1", "db.commit.interval": "0.01" },
    0,
  ],
  [{ concurrency: "1001", "jobqueue.capacity": "0", "jobqueue.reload.threshold": "0", "db.commit.interval": "-1" }, 4],
  [{ "timeout.seconds": "inf", retries: "1.5", "buffer.size": "x", "max.object.bytes": "0" }, 4],
  [{ "limit.bytes.per.second": "-1", "limit.requests.per.second": "inf" }, 2],
  [{ "limit.bytes.per.second": "0", "max.object.bytes": String(2 ** 35) }, 0],
])("checkConfig(%j) has %d faults in options of the tool, by name", (options, count) => {
  const faults = faultsOf(() => check({ ...APP, ...LOCAL, ...options }));
  expect(faults.length).toBe(count);
  if (count > 0)
    for (const name of Object.keys(options)) expect(faults.join("\n")).toContain(`Option ${name} must be a`);
});

test("checkConfig() takes the options of the tool, with bounds and defaults", () => {
  expect(check({ ...APP, ...LOCAL }).tool).toMatchObject({ concurrency: undefined, retries: 2 });
  const given = { concurrency: "10", "buffer.size": "100000", "db.commit.interval": "inf", "timeout.seconds": "0.5" };
  expect(check({ ...APP, ...LOCAL, ...given }).tool).toMatchObject({ concurrency: 10, timeoutMs: 500 });
});

test("checkConfig() needs no keys for a store, and no AppInfo", () => {
  expect(check(LOCAL, true).rest).toBeUndefined();
  expect(check({ ...LOCAL, "appinfo.appid": "1", "appinfo.bucket": "b" }, true).rest).toMatchObject({ bucket: "b" });
});

test("no allowed limit is longer than a timer, at the slowest rate for the largest object", () => {
  const most = { "max.object.bytes": String(2 ** 35), "timeout.seconds": "3600", "limit.bytes.per.second": "16384" };
  const { maxObjectBytes = 0, bytesPerSecond, timeoutMs } = check({ ...APP, ...LOCAL, ...most }).tool;
  expect((1_000 * maxObjectBytes) / bytesPerSecond + 2 * timeoutMs).toBeLessThan(2 ** 31);
  for (const beyond of [{ "max.object.bytes": String(2 ** 35 + 1) }, { "limit.bytes.per.second": "16383" }])
    expect(faultsOf(() => check({ ...APP, ...LOCAL, ...beyond })).length).toBe(1);
});

test("the identity has no secrets and no option without effect; other sections count as known", () => {
  const more = { concurrency: "3", "error.ignore.if": "x", "qiniu.password": "hidden", "paths.extra": "y" };
  const source = check({ ...APP, ...QINIU, "qiniu.referer": "http://r.example", "qiniu.isprivate": "1" }).identity;
  expect(Object.keys(source).filter((name) => name.startsWith("qiniu"))).toEqual(["qiniu.bucket", "qiniu.domain"]);
  const { identity, unknown } = check({ ...APP, ...LOCAL, ...more });
  const place = ["appinfo.appid", "appinfo.bucket", "appinfo.endpoint"];
  expect(Object.keys(identity)).toEqual([...place, "local.image_root_path", "migrate.type"]);
  expect(unknown).toEqual(["paths.extra"]);
});

const TEMPLATE = fileURLToPath(new URL("../../../../../config/migrate/config.ini.template", import.meta.url));

test("loadConfig() names a missing file, and a command that makes one", () => {
  const found = /^There is no config "\/nowhere\.ini"\. Name yours with --config FILE, or .*: cp (\S+) FILE$/;
  const faults = faultsOf(() => loadConfig("/nowhere.ini", { isStore: false }));
  expect(faults.length).toBe(1);
  expect(found.exec(faults[0] ?? "")?.[1]).toBe(TEMPLATE);
});

test("loadConfig() reports a file that cannot be read, is too large or no text", () => {
  const dir = mkdtempSync(join(tmpdir(), "huiyuan-config-"));
  const file = join(dir, "config.ini");
  const loaded = (bytes: Buffer) => {
    writeFileSync(file, bytes);
    return faultsOf(() => loadConfig(file, { isStore: false })).join();
  };
  try {
    expect(faultsOf(() => loadConfig(dir, { isStore: false })).join()).toBe(`Cannot read the config "${dir}": EISDIR.`);
    expect(loaded(Buffer.from([0xff]))).toMatch(/it is not UTF-8 text/);
    expect(loaded(Buffer.alloc(1_048_577, "\n"))).toMatch(/it has more than 1048576 bytes/);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test("the template has every option that a config may have, and no other", () => {
  const text = readFileSync(TEMPLATE, "utf8");
  const names = [...text.matchAll(/^([\w.]+) =/gm)].map(([, name]) => name?.toLowerCase() ?? "");
  const { options, faults } = readIni(text);
  expect(faults).toEqual([]);
  const asked = new Set<string>();
  for (const type of ["Local", "URLList", "Qiniu", "Oss", "S3"]) {
    const given = new Map([...options, ["migrate.type", type], ["local.image_root_path", "/tmp"]]);
    given.set("url.url_list_file_path", "-");
    const get = vi.spyOn(given, "get");
    expect(checkConfig(given, { isStore: false }).unknown).toEqual([]);
    for (const [name] of get.mock.calls) asked.add(name);
  }
  asked.delete("fileid.ignore.execute"); // it must be empty
  expect([...new Set(names)].sort()).toEqual([...asked].sort());
});
