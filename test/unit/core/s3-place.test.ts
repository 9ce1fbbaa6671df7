import { describe, expect, test } from "vitest";
import { type S3PlaceOptions, s3Place } from "../../../src/core/s3-place.ts";

const PLACES: readonly (readonly [S3PlaceOptions, string, string])[] = [
  [{ preset: "aws", region: "eu-west-1", bucket: "b" }, "https://b.s3.eu-west-1.amazonaws.com", "eu-west-1"],
  [{ preset: "aws", bucket: "b" }, "https://b.s3.us-east-1.amazonaws.com", "us-east-1"],
  [{ preset: "aws", region: "cn-north-1", bucket: "b" }, "https://b.s3.cn-north-1.amazonaws.com.cn", "cn-north-1"],
  [{ preset: "aws", bucket: "my.dotted" }, "https://s3.us-east-1.amazonaws.com/my.dotted", "us-east-1"],
  [{ preset: "aws", bucket: "Old_Name" }, "https://s3.us-east-1.amazonaws.com/Old_Name", "us-east-1"],
  [{ preset: "aws", bucket: "b", pathStyle: true }, "https://s3.us-east-1.amazonaws.com/b", "us-east-1"],
  [{ preset: "oss", region: "cn-hangzhou", bucket: "b" }, "https://b.s3.oss-cn-hangzhou.aliyuncs.com", "cn-hangzhou"],
  [{ preset: "oss", region: "oss-cn-beijing", bucket: "b" }, "https://b.s3.oss-cn-beijing.aliyuncs.com", "cn-beijing"],
  [
    { preset: "cos", region: "ap-guangzhou", bucket: "b-1250000000" },
    "https://b-1250000000.cos.ap-guangzhou.myqcloud.com",
    "ap-guangzhou",
  ],
  [{ preset: "obs", region: "cn-north-4", bucket: "b" }, "https://b.obs.cn-north-4.myhuaweicloud.com", "cn-north-4"],
  [{ preset: "kodo", region: "cn-east-1", bucket: "b" }, "https://s3.cn-east-1.qiniucs.com/b", "cn-east-1"],
  [
    { preset: "kodo", region: "cn-east-1", bucket: "b", pathStyle: false },
    "https://b.s3.cn-east-1.qiniucs.com",
    "cn-east-1",
  ],
  [{ preset: "upyun", bucket: "b" }, "https://s3.api.upyun.com/b", "us-east-1"],
  [{ preset: "b2", region: "us-west-004", bucket: "b" }, "https://s3.us-west-004.backblazeb2.com/b", "us-west-004"],
  [{ preset: "minio", endpoint: "http://minio.lan:9000", bucket: "b" }, "http://minio.lan:9000/b", "us-east-1"],
  [
    { preset: "ceph", endpoint: "https://rgw.example.com/", region: "default", bucket: "b" },
    "https://rgw.example.com/b",
    "default",
  ],
  [
    { preset: "ceph", endpoint: "https://rgw.example.com", bucket: "b", pathStyle: false },
    "https://b.rgw.example.com",
    "us-east-1",
  ],
  // No preset: any store, with the bucket in the path unless pathStyle is false.
  [{ endpoint: "https://s3.example.com/api/", bucket: "b" }, "https://s3.example.com/api/b", "us-east-1"],
  [{ endpoint: "https://s3.example.com", bucket: "b", pathStyle: false }, "https://b.s3.example.com", "us-east-1"],
  [{ endpoint: "http://[::1]:7480", bucket: "b" }, "http://[::1]:7480/b", "us-east-1"],
  [{ endpoint: "https://r2.example.com", region: "auto", bucket: "b" }, "https://r2.example.com/b", "auto"],
  // A custom endpoint within a preset, which contains the region.
  [
    { preset: "oss", endpoint: "https://oss-cn-hangzhou-internal.aliyuncs.com", bucket: "b" },
    "https://b.oss-cn-hangzhou-internal.aliyuncs.com",
    "cn-hangzhou",
  ],
  [
    { preset: "oss", endpoint: "https://s3.oss-accelerate.aliyuncs.com", region: "cn-beijing", bucket: "b" },
    "https://b.s3.oss-accelerate.aliyuncs.com",
    "cn-beijing",
  ],
  [
    { preset: "cos", endpoint: "https://cos.ap-shanghai.myqcloud.com", bucket: "b-1" },
    "https://b-1.cos.ap-shanghai.myqcloud.com",
    "ap-shanghai",
  ],
  [
    { preset: "aws", endpoint: "https://s3.eu-west-1.amazonaws.com", bucket: "b" },
    "https://b.s3.eu-west-1.amazonaws.com",
    "eu-west-1",
  ],
  [
    { preset: "aws", endpoint: "https://s3.cn-north-1.amazonaws.com.cn", bucket: "b" },
    "https://b.s3.cn-north-1.amazonaws.com.cn",
    "cn-north-1",
  ],
  [{ preset: "aws", endpoint: "https://s3.amazonaws.com", bucket: "b" }, "https://b.s3.amazonaws.com", "us-east-1"],
];

describe("s3Place()", () => {
  test.each(PLACES)("%j is at %s, region %s", (options, url, region) => {
    expect(s3Place(options)).toMatchObject({ url, region });
  });

  test("takes the host of an alias for the bucket", () => {
    const alias = { preset: "oss", endpoint: "http://img.example.com/", region: "cn-hangzhou", bucket: "b" } as const;
    expect(s3Place({ ...alias, isAlias: true })).toMatchObject({
      url: "http://img.example.com",
      region: "cn-hangzhou",
    });
  });

  test("treats an empty text as an absent setting", () => {
    expect(s3Place({ preset: "aws", endpoint: "", region: "", bucket: "b" }).url).toBe(
      "https://b.s3.us-east-1.amazonaws.com",
    );
  });

  test.each<S3PlaceOptions>([
    { bucket: "b" },
    { preset: "minio", bucket: "b" },
    { preset: "ceph", region: "default", bucket: "b" },
    { preset: "oss", bucket: "b" },
    { preset: "cos", bucket: "b" },
    { preset: "obs", bucket: "b" },
    { preset: "kodo", bucket: "b" },
    { preset: "b2", bucket: "b" },
    { preset: "oss", endpoint: "https://s3.oss-accelerate.aliyuncs.com", bucket: "b" },
    { preset: "oss", region: "evil.example/?", bucket: "b" },
    { preset: "aws", region: "a.b", bucket: "b" },
    { preset: "oss", region: "cn-hangzhou", bucket: "b", pathStyle: true },
    { preset: "cos", region: "ap-guangzhou", bucket: "with.dot" },
    { preset: "oss", endpoint: "http://10.0.0.1", region: "cn-hangzhou", bucket: "b" },
    { endpoint: "http://127.0.0.1:7480", bucket: "b", pathStyle: false },
    { endpoint: "https://b.s3.example.com", bucket: "b" },
    { endpoint: "ftp://s3.example.com", bucket: "b" },
    { endpoint: "s3.example.com", bucket: "b" },
  ])("refuses %j", (options) => {
    expect(() => s3Place(options)).toThrowError(expect.objectContaining({ code: "settings_invalid" }));
  });
});
