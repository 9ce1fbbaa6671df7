// Receiving the file part of a form into a spool if the form breaks.
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { readForm } from "../../../../src/serve/upload/form.ts";
import { receiveFile } from "../../../../src/serve/upload/upload-store.ts";
import { noisyJpeg } from "../../../helpers/images.ts";
import { eventually } from "../../../helpers/program.ts";
import { fileForm } from "../../../helpers/rest-api.ts";
import { testPool } from "../../../helpers/spools.ts";

test("receiveFile() throws form_broken if the form ends in the middle of the file", async () => {
  const { contentType, body } = fileForm(await noisyJpeg(640, 480));
  const source = new Readable({ read() {} });
  const form = readForm(source, { contentType, maxBytes: 1_000_000, idleMs: 5_000, totalMs: 5_000 });
  source.push(body.subarray(0, 50_000));
  const file = await form.file();
  if (file === undefined) throw new Error("the form has no file");
  const spool = testPool().open();
  const receiving = receiveFile(file, { spool, maxBytes: 1_000_000, tooLarge: "upload_size" });
  await eventually(() => spool.received > 0, "the file is being read");
  source.push(body.subarray(50_000, -100));
  source.push(null);
  await expect(receiving).rejects.toMatchObject({ code: "form_broken" });
  spool.release();
});

test.each(["upload_size", "slice_too_large"] as const)("receiveFile() throws %s beyond the limit", async (tooLarge) => {
  const { contentType, body } = fileForm(Buffer.alloc(200_000));
  const source = Readable.from([body.subarray(0, 50_000), body.subarray(50_000)], { objectMode: false });
  const form = readForm(source, { contentType, maxBytes: 1_000_000, idleMs: 5_000, totalMs: 5_000 });
  const file = await form.file();
  if (file === undefined) throw new Error("the form has no file");
  const spool = testPool().open();
  await expect(receiveFile(file, { spool, maxBytes: 199_999, tooLarge })).rejects.toMatchObject({ code: tooLarge });
  form.stop();
  spool.release();
});
