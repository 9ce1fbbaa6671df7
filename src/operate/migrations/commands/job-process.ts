// The entry point of a run in the background: a job of a server, or `huiyuan migrate start --detach`.
import { once } from "node:events";
import { runToEnd } from "../../cli/run-to-end.ts";
import { processTerminal } from "../../cli/terminal.ts";
import type { JobInput } from "../jobs/run-input.ts";
import { startCopy } from "./start.ts";
import { startVerify } from "./verify.ts";

const terminal = processTerminal();
await runToEnd(async () => {
  const [input] = (await once(process, "message")) as [JobInput];
  const { isOfServer } = "copy" in input ? input.copy : input.verify;
  // The channel closes when the server ends, in whatever way.
  if (isOfServer === true) process.once("disconnect", () => process.kill(process.pid, "SIGTERM"));
  process.exitCode = await ("copy" in input ? startCopy(input.copy, terminal) : startVerify(input.verify, terminal));
}, terminal);
