// The REST API over a real S3 store (Ceph): acknowledged changes are in S3, and an unreachable S3 is reported with a
// code.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CEPH_START_MS, sharedRgw } from "../helpers/ceph.ts";
import { get, pathOf } from "../helpers/get.ts";
import { noisyJpeg } from "../helpers/images.ts";
import { type PlainS3, plainS3 } from "../helpers/plain-s3.ts";
import { eventually, type Installation, install, type Program } from "../helpers/program.ts";
import { callApi, fileForm, makeForm, onceToken, uploadToken } from "../helpers/rest-api.ts";
import { bucketName } from "../helpers/s3-store.ts";
import { needs } from "../helpers/services.ts";
import { APPID, oneBucket } from "../helpers/settings.ts";
import { type SwitchProxy, startSwitchProxy } from "../helpers/switch-proxy.ts";

describe("the REST API with store: s3", needs("ceph"), () => {
  const s3Bucket = bucketName();
  let plain: PlainS3;
  let proxy: SwitchProxy;
  let installation: Installation;
  let program: Program;
  let jpeg: Buffer;

  beforeAll(async () => {
    const rgw = await sharedRgw();
    plain = plainS3(rgw);
    await plain.makeBucket(s3Bucket);
    proxy = await startSwitchProxy(rgw.port);
    const { region, accessKeyId, secretAccessKey } = rgw;
    const endpoint = `http://127.0.0.1:${proxy.port}`;
    const store = { type: "s3", endpoint, region, bucket: s3Bucket, accessKeyId, secretAccessKey, allowPrivate: true };
    installation = await install(oneBucket(undefined, {}, { store }));
    program = await installation.start();
    jpeg = await noisyJpeg(800, 600);
  }, CEPH_START_MS);
  afterAll(async () => {
    await program?.kill();
    await proxy?.close();
    await installation?.remove();
  });

  const inS3 = async (fileid: string) => (await plain.get(s3Bucket, `${APPID}/photos/${fileid}`))?.body;
  const upload = (fileid: string) =>
    callApi({
      port: program.downloadPort,
      path: `/${encodeURIComponent(fileid)}`,
      form: fileForm(jpeg),
      sign: uploadToken(),
    });
  const stat = (fileid: string) => callApi({ port: program.downloadPort, path: `/${encodeURIComponent(fileid)}` });
  const download = (fileid: string) => get({ port: program.downloadPort, path: pathOf(fileid) });
  const operate = (operation: "copy" | "del", fileid: string) =>
    callApi({
      port: program.downloadPort,
      path: `/${encodeURIComponent(fileid)}/${operation}`,
      method: "POST",
      sign: onceToken(fileid),
    });

  test("an upload is in S3 when it is acknowledged, and so are its copy and its delete", async () => {
    const fileid = "2015/照片 a+b.jpg";
    expect(await upload(fileid)).toMatchObject({ status: 200, code: 0 });
    expect((await inS3(fileid))?.equals(jpeg)).toBe(true);
    expect(await upload(fileid)).toMatchObject({ code: -1886 });
    expect(await stat(fileid)).toMatchObject({
      data: { file_md5: createHash("md5").update(jpeg).digest("hex"), photo_width: "800", photo_height: "600" },
    });
    const copied = await operate("copy", fileid);
    expect((await inS3(String(copied.data.fileid)))?.equals(jpeg)).toBe(true);
    expect(await operate("del", fileid)).toMatchObject({ code: 0 });
    // The tombstone stays in S3.
    expect((await inS3(fileid))?.byteLength).toBe(16);
    expect([(await stat(fileid)).code, (await download(fileid)).status]).toEqual([-197, 404]);
    expect(await upload(fileid)).toMatchObject({ code: 0 });
    expect((await inS3(fileid))?.equals(jpeg)).toBe(true);
  });

  test("of twenty uploads of one name exactly one wins", async () => {
    const images = Array.from({ length: 20 }, (_, index) => Buffer.concat([jpeg, Buffer.from(`${index}`)]));
    const answers = await Promise.all(
      images.map((image) =>
        callApi({ port: program.downloadPort, path: "/race.jpg", form: fileForm(image), sign: uploadToken() }),
      ),
    );
    const winners = answers.flatMap(({ code }, index) => (code === 0 ? [index] : []));
    expect(winners).toHaveLength(1);
    expect((await inS3("race.jpg"))?.equals(images[winners[0] ?? -1] ?? Buffer.alloc(0))).toBe(true);
  });

  test("an upload in slices is stored in S3", async () => {
    const image = Buffer.concat([jpeg, Buffer.from("slices")]);
    const packet = (fields: Readonly<Record<string, string | Buffer>>) =>
      callApi({
        port: program.downloadPort,
        path: "/slices.jpg",
        form: makeForm(Object.entries({ op: "upload_slice", ...fields }).map(([name, content]) => ({ name, content }))),
        sign: uploadToken(),
      });
    const sha = createHash("sha1").update(image).digest("hex");
    const { data } = await packet({ sha, filesize: String(image.byteLength), slice_size: "100000" });
    let last = await packet({ session: String(data.session), offset: "0", fileContent: image.subarray(0, 100_000) });
    for (let offset = 100_000; offset < image.byteLength; offset += 100_000) {
      const fileContent = image.subarray(offset, offset + 100_000);
      last = await packet({ session: String(data.session), offset: String(offset), fileContent });
    }
    expect(last).toMatchObject({ code: 0, data: { fileid: "slices.jpg" } });
    expect((await inS3("slices.jpg"))?.equals(image)).toBe(true);
  });

  test("while S3 is unreachable each operation returns its code and changes nothing, and works again afterwards", async () => {
    expect(await upload("away.jpg")).toMatchObject({ code: 0 });
    proxy.turn("refuse");
    try {
      const codes = [await upload("new.jpg"), await operate("copy", "away.jpg"), await operate("del", "away.jpg")].map(
        ({ status, code }) => [status, code],
      );
      expect(codes).toEqual([
        [400, -5989],
        [400, -199],
        [400, -190],
      ]);
      expect((await download("away.jpg")).body.equals(jpeg)).toBe(true);
    } finally {
      proxy.turn("pass");
    }
    await eventually(async () => (await upload("new.jpg")).code === 0, "S3 is back", 60_000);
    expect((await inS3("new.jpg"))?.equals(jpeg)).toBe(true);
    expect(await operate("del", "away.jpg")).toMatchObject({ code: 0 });
  });
});
