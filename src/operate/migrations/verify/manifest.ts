// The manifest of verified objects: lines as of `sha256sum`, in the order of the keys. Its last line has the root of
// their Merkle tree (RFC 9162 §2.1.1). It holds one hash a level of the tree, and a buffer of lines.
import { createHash } from "node:crypto";
import { appendFileSync, closeSync, fsyncSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { storeFailure } from "../../../core/disk-failure.ts";

export interface Manifest {
  /** Keys must ascend in the order of their UTF-8 bytes. `sha256`: lower-case hex. Throws store_full, store_failed. */
  add(key: string, sha256: string): void;
  /** Writes the last line, and gives the file its name. Throws as add(). */
  finish(): ManifestEnd;
  /** Removes the unfinished file, if there is one. */
  discard(): void;
}

export interface ManifestEnd {
  readonly objects: number;
  /** Lower-case hex. */
  readonly root: string;
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
  const tree = createMerkleTree();
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
      const line = manifestLine(key, sha256);
      tree.add(Buffer.from(line));
      lines += `${line}\n`;
      if (lines.length >= BUFFER_CHARACTERS) flush();
    },
    finish() {
      const end = { objects: tree.size, root: tree.root().toString("hex") };
      lines += `# objects: ${end.objects}, Merkle root (RFC 9162, SHA-256): ${end.root}\n`;
      flush();
      trying(() => {
        fsyncSync(file!);
        closeSync(file!);
        file = undefined;
        renameSync(unfinished, path);
      });
      return end;
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

export interface MerkleTree {
  readonly size: number;
  add(entry: Uint8Array): void;
  /** MTH() of the entries so far: 32 bytes. */
  root(): Buffer;
}

/** Keeps the roots of the complete subtrees, the largest first: one for each bit of the size. */
export function createMerkleTree(): MerkleTree {
  const roots: Buffer[] = [];
  let size = 0;
  return {
    get size() {
      return size;
    },
    add(entry) {
      let subtree = hashOf(LEAF, entry);
      for (let bits = size; bits % 2 === 1; bits = Math.floor(bits / 2)) subtree = hashOf(NODE, roots.pop()!, subtree);
      roots.push(subtree);
      size += 1;
    },
    root: () => (size === 0 ? hashOf() : roots.reduceRight((right, left) => hashOf(NODE, left, right))),
  };
}

const [LEAF, NODE] = [Buffer.of(0), Buffer.of(1)];

function hashOf(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}
