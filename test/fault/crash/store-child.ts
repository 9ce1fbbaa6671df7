// A child process that performs operations on a store and prints each one's start and result. A parent that kills it or
// breaks its disk therefore knows which steps were acknowledged. argv: data folder, operations as JSON, `die` to be
// killed as soon as one has failed, and the S3 behind the store as JSON.
import { asHuiyuanError } from "../../../src/core/errors.ts";
import { type OpenStore, openStore, perform, type S3Behind } from "./open-store.ts";
import type { StoreOperation } from "./store-model.ts";

/** One line of the child's stdout. */
export type Report =
  | { readonly begun: number }
  | { readonly done: number; readonly answer: string | boolean | number | null }
  | { readonly failed: number; readonly code: string; readonly message: string };

function say(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function performAll(
  dir: string,
  operations: readonly StoreOperation[],
  { isFatal, behind }: { readonly isFatal: boolean; readonly behind: S3Behind | undefined },
): Promise<void> {
  let open: OpenStore | undefined;
  let files = 0;
  const newName = () => {
    files += 1;
    return `${process.pid}-${files}.part`;
  };
  for (const [index, operation] of operations.entries()) {
    say({ begun: index });
    try {
      open ??= await openStore(dir, behind);
      say({ done: index, answer: await perform(open, operation, newName) });
      if (operation.kind === "close") open = undefined;
    } catch (error) {
      const { code, message } = asHuiyuanError(error);
      say({ failed: index, code, message });
      if (isFatal) process.kill(process.pid, "SIGKILL");
      // The program also exits if the store cannot be opened.
      if (open === undefined) return;
    }
  }
}

const [, script, dir, operations, onFailure, s3] = process.argv;
if (script?.endsWith("store-child.ts") === true && dir !== undefined && operations !== undefined) {
  const behind = s3 === undefined ? undefined : (JSON.parse(s3) as S3Behind);
  await performAll(dir, JSON.parse(operations) as StoreOperation[], { isFatal: onFailure === "die", behind });
  // A store that was not closed, or failed to close, would keep the process running.
  process.exit();
}
