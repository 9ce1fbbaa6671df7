// The manifest of verified objects: lines as of `sha256sum`, in the order of the keys. It holds a buffer of lines.
import { appendFileSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { storeFailure } from "../../../core/disk-failure.ts";

export interface Manifest {
  /** Keys must ascend in the order of their UTF-8 bytes. `sha256`: lower-case hex. Throws store_full, store_failed. */
  add(key: string, sha256: string): void;
  /** Writes the last line, gives the file its name, and returns the number of objects. Throws as add(). */
  finish(): number;
  /** Removes the unfinished file, if there is one. */
  discard(): void;
}

const BUFFER_CHARACTERS = 65_536;

/** The file has another name until it is complete. Throws store_full and store_failed. */
export function createManifest(path: string): Manifest {
  const unfinished = `${path}.new`;
  const trying = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw storeFailure(error, `write the manifest ${JSON.stringify(path)}`);
    }
  };
  let objects = 0;
  let file: number | undefined = trying(() => {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new Error("it is a folder");
    return openSync(unfinished, "w");
  });
  let lines = "";

  function flush(): void {
    trying(() => appendFileSync(file!, lines));
    lines = "";
  }

  return {
    add(key, sha256) {
      objects += 1;
      lines += `${manifestLine(key, sha256)}\n`;
      if (lines.length >= BUFFER_CHARACTERS) flush();
    },
    finish() {
      lines += `# objects: ${objects}\n`;
      flush();
      trying(() => {
        fsyncSync(file!);
        closeSync(file!);
        file = undefined;
        renameSync(unfinished, path);
      });
      return objects;
    },
    discard() {
      if (file !== undefined) closeSync(file);
      rmSync(unfinished, { force: true });
    },
  };
}

/** As `sha256sum` writes it: a name with a backslash or a line end is escaped, and a backslash begins its line. */
export function manifestLine(key: string, sha256: string): string {
  const name = key.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
  return `${name === key ? "" : "\\"}${sha256}  ${name}`;
}
