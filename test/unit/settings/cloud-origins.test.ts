import { expect, test } from "vitest";
import { ONE_HOST_OF_A_KIND } from "../../helpers/inside-hosts.ts";
import { faultsOf, withMirror } from "./parse.ts";

const ORIGIN = "projects[0].buckets[0].domains[0].mirror.origins[0]";
const withCloud = (keys: string) => withMirror("").replace(/origins: \[.*?\]/, `origins: [{ ${keys} }]`);

test.each([
  'type: qiniu, domain: "http://x.clouddn.com"',
  'type: qiniu, domain: "http://x.clouddn.com", private: true, accessKey: AK, secretKey: SK, referer: "http://h/"',
  "type: s3, preset: aws, bucket: pictures",
  "type: s3, preset: oss, region: cn-hangzhou, bucket: pictures, accessKeyId: AK, secretAccessKey: SK, prefix: old/",
  'type: s3, preset: oss, endpoint: "https://oss-cn-hangzhou-internal.aliyuncs.com", bucket: pictures',
  "type: s3, preset: upyun, bucket: pictures",
  'type: s3, endpoint: "https://s3.example.com", bucket: pictures, pathStyle: true',
])("the origin { %s } is good", (keys) => {
  expect(faultsOf(withCloud(keys))).toEqual([]);
});

test.each([
  ["type: qiniu, domain: x.clouddn.com", "domain"],
  ['type: qiniu, domain: "http://127.0.0.1"', "domain"],
  ['type: qiniu, domain: "http://x.clouddn.com", private: true, accessKey: AK', "secretKey"],
  ["type: s3, bucket: pictures", "endpoint"],
  ["type: s3, preset: minio, bucket: pictures", "endpoint"],
  ["type: s3, preset: oss, bucket: pictures", "region"],
  ["type: s3, preset: gcs, bucket: pictures", "preset"],
  ['type: s3, endpoint: "http://10.0.0.1:9000", bucket: pictures', "endpoint"],
  ["type: s3, preset: oss, region: cn-hangzhou, bucket: pictures, pathStyle: true", "bucket"],
  ['type: s3, preset: oss, endpoint: "https://s3.oss-accelerate.aliyuncs.com", bucket: pictures', "bucket"],
  ["type: s3, preset: aws, region: eu/west, bucket: pictures", "bucket"],
  ['type: s3, endpoint: "https://pictures.s3.example.com", bucket: pictures', "bucket"],
  ["type: s3, preset: aws, bucket: pictures, accessKeyId: AK", "secretAccessKey"],
])("the origin { %s } has a fault at %s", (keys, key) => {
  expect(faultsOf(withCloud(keys)).map((fault) => fault.path)).toEqual([`${ORIGIN}.${key}`]);
});

const INSIDE = ONE_HOST_OF_A_KIND.flatMap((host) => [
  [`type: qiniu, domain: "http://${host}:8000"`, "domain"] as const,
  [`type: s3, endpoint: "http://${host}:8000", bucket: pictures`, "endpoint"] as const,
]);

test.each(INSIDE)("the origin { %s } needs allowPrivate", (keys, key) => {
  expect(faultsOf(withCloud(keys)).map((fault) => fault.path)).toEqual([`${ORIGIN}.${key}`]);
});

test.each([22, 25, 6379])("parseSettings() refuses port %i for both types", (port) => {
  expect(faultsOf(withCloud(`type: qiniu, domain: "http://x.example:${port}"`))).toHaveLength(1);
  expect(faultsOf(withCloud(`type: s3, endpoint: "http://x.example:${port}", bucket: pictures`))).toHaveLength(1);
});
