import { describe, expect, test } from "vitest";
import { type ErrorCode, HuiyuanError, restError } from "../../../../src/core/errors.ts";
import { toKey } from "../../../../src/core/object.ts";
import type { VerifyRequest } from "../../../../src/serve/image/renderer.ts";
import { createVerifyDecodable } from "../../../../src/serve/upload/upload-store.ts";
import { noisyJpeg } from "../../../helpers/images.ts";
import { photosLab } from "../../../helpers/photos-lab.ts";
import { callApi, fileForm, uploadToken } from "../../../helpers/rest-api.ts";

/** Uploads an image to a server whose renderer fails with this code. */
async function uploadWhere(code: ErrorCode) {
  const renderer = { verify: () => Promise.reject(new HuiyuanError(code, "so it is")) };
  const { port, bucket } = await photosLab({ verify: createVerifyDecodable(renderer) });
  const form = fileForm(await noisyJpeg(64, 48));
  const answer = await callApi({ port, path: "/a.jpg", sign: uploadToken("a.jpg"), form });
  const { state } = await bucket.stored.bucket.lookup(toKey("a.jpg"));
  return { code: answer.code, status: answer.status, state };
}

describe("an upload whose image", () => {
  test.each(["image_too_large", "image_too_heavy", "render_timeout"] as const)(
    "exceeds the decoder's limits (%s) is stored",
    async (code) => {
      expect(await uploadWhere(code)).toMatchObject({ code: 0, status: 200, state: "object" });
    },
  );
  test.each([
    ["image_not_processable", -1893],
    ["render_overloaded", -2000],
    ["render_failed", -5989],
    ["store_failed", -5989],
  ] as const)("cannot be verified (%s) is refused with %i and not stored", async (code, rest) => {
    expect(await uploadWhere(code)).toMatchObject({ code: rest, status: 400, state: "absent" });
  });
});

test.each([
  { pixels: [2_400, 1_800], isFreed: true },
  { pixels: [64, 48], isFreed: false },
] as const)(
  "an image of $pixels pixels is decoded from its own bytes, and memory for a file is freed: $isFreed",
  async ({ pixels: [width, height], isFreed }) => {
    const bytes = await noisyJpeg(width, height);
    const seen: { bytes: Buffer; equal: boolean }[] = [];
    const verify = async ({ load }: VerifyRequest) => {
      const loaded = await load();
      seen.push({ bytes: loaded, equal: loaded.equals(bytes) });
    };
    const { port } = await photosLab({ verify: createVerifyDecodable({ verify }) });
    const answer = await callApi({ port, path: "/a.jpg", sign: uploadToken("a.jpg"), form: fileForm(bytes) });
    expect([answer.code, seen.map(({ equal }) => equal)]).toEqual([0, [true]]);
    expect([bytes.byteLength > 1_048_576, seen[0]?.bytes.byteLength]).toEqual([
      isFreed,
      isFreed ? 0 : bytes.byteLength,
    ]);
  },
);

test("an overload of the renderer has the overload code of the API", () => {
  expect(restError("render_overloaded").code).toBe(-2000);
});
