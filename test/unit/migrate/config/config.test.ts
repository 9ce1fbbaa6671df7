import { expect, test } from "vitest";
import { ConfigFaults, checkConfig, loadConfig } from "../../../../src/migrate/config/config.ts";

const APP = { "appinfo.appid": "1", "appinfo.secretid": "I", "appinfo.secretkey": "K", "appinfo.bucket": "b" };
const LOCAL = { "migrate.type": "Local", "local.image_root_path": "/tmp/" };
const QINIU = {
  "migrate.type": "3",
  "qiniu.bucket": "q",
  "qiniu.accesskey": "A",
  "qiniu.secretkey": "S",
  "qiniu.domain": "http://q.example/",
};

function check(options: Readonly<Record<string, string>>, isStore = false) {
  return checkConfig(new Map(Object.entries(options)), { isStore });
}

function faultsOf(options: Readonly<Record<string, string>>, isStore = false): readonly string[] {
  try {
    check(options, isStore);
  } catch (error) {
    if (error instanceof ConfigFaults) return error.faults;
    throw error;
  }
  return [];
}

const S3 = { "migrate.type": "S3", "s3.bucket": "bucket", "s3.accesskey": "A", "s3.secretkey": "S" };

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
  [QINIU, { isPrivate: false, startOffset: 0, total: Number.POSITIVE_INFINITY, referer: undefined }],
  [
    {
      "migrate.type": "Oss",
      "oss.bucket": "o",
      "oss.accesskey": "A",
      "oss.secretkey": "S",
      "oss.endpoint": "oss-cn-hangzhou.aliyuncs.com",
      "oss.iscname": "False",
    },
    { type: "s3", preset: "oss", endpoint: "http://oss-cn-hangzhou.aliyuncs.com", bucket: "o", isAlias: false },
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
  const faults = faultsOf(options).join("\n");
  const names = ["qiniu.bucket is required", "qiniu.AccessKey is required", "qiniu.SecretKey is required"];
  const others = ["appinfo.appid is required", "appinfo.secretID is required", "appinfo.secretKey is required"];
  for (const name of [...names, ...others, "appinfo.bucket is required", ...Object.keys(options).slice(1)])
    expect(faults).toContain(`Option ${name}`);
});

test.each([
  [{ ...APP }, "Option migrate.type is required."],
  [{ ...APP, "migrate.type": "4" }, "Option migrate.type must be one of"],
  [{ ...APP, ...LOCAL, "local.image_root_path": "tmp" }, "local.image_root_path must be the absolute path of a folder"],
  [{ ...APP, ...LOCAL, "local.image_root_path": "/nowhere" }, "local.image_root_path must be"],
  [{ ...APP, "migrate.type": "URLList", "url.url_list_file_path": "/tmp" }, "must be the absolute path of a file"],
  [{ ...APP, ...LOCAL, "appinfo.endpoint": "http://u:p@h/" }, "Option appinfo.endpoint must be a URL"],
  [{ ...APP, ...S3 }, "Option s3.endpoint is required."],
  [{ ...APP, ...S3, "s3.preset": "other" }, "Option s3.preset must be one of aws, oss, cos"],
  [{ ...APP, ...S3, "s3.preset": "obs" }, "the preset obs needs a region, such as cn-north-4"],
])("checkConfig(%j) has one fault", (options, expected) => {
  const faults = faultsOf(options);
  expect(faults.length).toBe(1);
  expect(faults[0]).toContain(expected);
});

test("checkConfig() takes the options of the tool, with bounds and defaults", () => {
  expect(check({ ...APP, ...LOCAL }).tool).toMatchObject({ concurrency: undefined, pageRows: 1_000, retries: 2 });
  const given = { concurrency: "10", "buffer.size": "100000", "db.commit.interval": "inf", "timeout.seconds": "0.5" };
  expect(check({ ...APP, ...LOCAL, ...given }).tool).toMatchObject({
    concurrency: 10,
    pageRows: 1_000,
    commitMs: 100,
    timeoutMs: 500,
  });
});

test("checkConfig() needs no keys for a store, and no AppInfo", () => {
  expect(check(LOCAL, true).rest).toBeUndefined();
  expect(check({ ...LOCAL, "appinfo.appid": "1", "appinfo.bucket": "b" }, true).rest).toMatchObject({ bucket: "b" });
});

test("the identity has no secrets and nothing that only changes the speed; other sections count as known", () => {
  const more = { concurrency: "3", "error.ignore.if": "x", "qiniu.secretkey": "hidden", "paths.extra": "y" };
  const { identity, unknown } = check({ ...APP, ...LOCAL, ...more });
  expect(Object.keys(identity)).toEqual([
    "appinfo.appid",
    "appinfo.bucket",
    "local.image_root_path",
    "migrate.type",
    "paths.extra",
  ]);
  expect(unknown).toEqual(["paths.extra"]);
});

test("loadConfig() reports a file that cannot be read", () => {
  expect(() => loadConfig("/nowhere.ini", { isStore: false })).toThrow(ConfigFaults);
  expect(() => loadConfig("/tmp", { isStore: false })).toThrow(/Cannot read the config/);
});
