// The settings `coordination` and the old `server.workers`.
import { expect, test } from "vitest";
import { settingsWarnings } from "../../../../src/settings/load.ts";
import { faultsOf, MINIMAL, parse } from "../parse.ts";

const S3 =
  'store: { type: s3, endpoint: "https://s3.example.com", bucket: pics, accessKeyId: A, secretAccessKey: S }\n';

test("coordination takes a Valkey beside an S3 store, with a prefix by default", () => {
  const { coordination } = parse(`coordination: { type: valkey, url: "redis://h" }\n${S3}${MINIMAL}`);
  expect(coordination).toEqual({ type: "valkey", url: "redis://h", prefix: "huiyuan:" });
});

test.each([
  [`coordination: { type: valkey, url: "redis://h" }\n${MINIMAL}`, "coordination.type", "wanted an S3 store"],
  [`coordination: { type: valkey }\n${S3}${MINIMAL}`, "coordination.url", "is missing"],
  [`coordination: { type: valkey, url: "redis://h", name: "a b" }\n${S3}${MINIMAL}`, "coordination.name", "1 to 64"],
  [`coordination: { type: zookeeper }\n${MINIMAL}`, "coordination.type", "zookeeper"],
])("coordination refuses %s", (text, path, message) => {
  expect(faultsOf(text)).toMatchObject([{ path, message: expect.stringContaining(message) }]);
});

test.each(["auto", "1", "4"])("server.workers: %s has no effect but a warning", (workers) => {
  const settings = parse(`server: { workers: ${workers} }\n${MINIMAL}`);
  expect(settingsWarnings(settings)).toEqual([expect.stringContaining("server.workers has no effect")]);
});
