// Makes a multipart form of known length (RFC 7578) chunk by chunk: fields, the file, then the MD5 of the sent bytes.
import { createHash, randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";

export interface Form {
  readonly contentType: string;
  /** Bytes of the whole form. */ readonly size: number;
  /** Reads the file again at each call. `onFile` gets the number of file bytes sent so far. */
  chunks(onFile: (bytes: number) => void): AsyncIterable<Uint8Array>;
}

/** The part `FileContent`. */
export interface FilePart {
  /** Bytes. */ readonly size: number;
  readonly read: () => AsyncIterable<Uint8Array>;
  /** Adds a part `Md5` after the file, with its digest. */ readonly hasMd5: boolean;
}

const MD5_HEX = 32;
/** Behind the name of the file's part. */
const FILE_HEAD = `; filename="image"\r\nContent-Type: application/octet-stream`;

/** Field values may be any text, because the boundary is random. Field names must be plain. */
export function makeForm(fields: Readonly<Record<string, string>>, file?: FilePart): Form {
  const boundary = randomBytes(16).toString("hex");
  const partHead = (name: string, more: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`;
  const part = (name: string, value: string) => bytes(`${partHead(name, "")}${value}\r\n`);
  const head = Buffer.concat([
    ...Object.entries(fields).map(([name, value]) => part(name, value)),
    ...(file === undefined ? [] : [bytes(partHead("FileContent", FILE_HEAD))]),
  ]);
  const end = bytes(`--${boundary}--\r\n`);
  const [lineEnd, md5Size] = [bytes("\r\n"), file?.hasMd5 ? part("Md5", "0".repeat(MD5_HEX)).byteLength : 0];
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    size: head.byteLength + end.byteLength + (file === undefined ? 0 : file.size + lineEnd.byteLength + md5Size),
    async *chunks(onFile) {
      if (file === undefined) return yield Buffer.concat([head, end]);
      yield head;
      const md5 = createHash("md5");
      let sent = 0;
      for await (const chunk of file.read()) {
        md5.update(chunk);
        yield chunk;
        // Yields to the event loop, so that an early refusal is read before the service closes the connection.
        await setImmediate();
        sent += chunk.byteLength;
        onFile(sent);
      }
      yield Buffer.concat([lineEnd, ...(file.hasMd5 ? [part("Md5", md5.digest("hex"))] : []), end]);
    },
  };
}

function bytes(text: string): Buffer {
  return Buffer.from(text, "utf8");
}
