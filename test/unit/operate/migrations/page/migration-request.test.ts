// The request that the console's form for a migration makes: what the server takes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { checkRequest } from "../../../../../src/operate/migrations/jobs/job-files.ts";
import { requestOf } from "../../../../../src/operate/migrations/page/migration-request.ts";

const folder = mkdtempSync(join(tmpdir(), "huiyuan-form-"));

afterAll(() => rmSync(folder, { recursive: true }));

function filled(controls: Readonly<Record<string, string>>) {
  const data = new FormData();
  for (const [name, value] of Object.entries(controls)) data.set(name, value);
  return requestOf(data);
}

const KEYS = { "s3.accesskey": "A", "s3.secretkey": "S" };

test.each([
  [{ kind: "origins", fromOrigin: "img.example.com", list: "a.jpg" }],
  [{ kind: "origins", fromOrigin: "img.example.com", sitemap: "https://www.example.com/sitemap.xml" }],
  [{ kind: "origins", fromOrigin: "img.example.com" }],
  [{ kind: "URLList", bucket: "1/b", list: "http://www.example.com/a.jpg", "limit.requests.per.second": "5" }],
  [
    {
      ...{ kind: "Qiniu", bucket: "1/b", "qiniu.bucket": "b", "qiniu.domain": "http://img.example.com" },
      ...{ "qiniu.AccessKey": "A", "qiniu.SecretKey": "S", "qiniu.isprivate": "true" },
    },
  ],
  [{ kind: "S3", bucket: "1/b", "s3.preset": "oss", "s3.bucket": "b", "s3.region": "cn-hangzhou", ...KEYS }],
  [{ kind: "S3", bucket: "1/b", "s3.preset": "", "s3.bucket": "b", "s3.endpoint": "http://10.0.0.5:9000", ...KEYS }],
  [{ kind: "Local", bucket: "1/b", "local.image_root_path": folder }],
])("the server takes the request for %o", (controls) => {
  const request = filled({ id: "a", overwrite: "newer", ...controls });
  expect(() => checkRequest({ ...request, overwrite: "newer" }, [folder])).not.toThrow();
});

test("requestOf() has what was filled in", () => {
  const controls = { id: " a ", kind: "URLList", bucket: "1/b", list: "http://x/\n", "limit.requests.per.second": " " };
  expect(filled({ ...controls, overwrite: "always", acceptSuspect: "on" })).toEqual({
    ...{ id: "a", config: { "migrate.type": "URLList", "appinfo.appid": "1", "appinfo.bucket": "b" } },
    ...{ fromOrigin: undefined, list: "http://x/\n", sitemap: undefined, overwrite: "always", acceptSuspect: true },
  });
});
