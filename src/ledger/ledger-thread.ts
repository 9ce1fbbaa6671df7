// The only thread that opens the ledgers and waits for their fsyncs. ledger.ts starts it.
import { parentPort, workerData } from "node:worker_threads";
import { asHuiyuanError } from "../core/errors.ts";
import { createDatabase, type LedgerDatabase } from "./database.ts";
import type { FromLedgers, LedgerThreadData, ToLedgers } from "./ledger.ts";

function serve(port: NonNullable<typeof parentPort>, { dir, plans }: LedgerThreadData): void {
  const answer = (message: FromLedgers) => port.postMessage(message);
  const onDamage = (movedTo: string, found: string) => answer({ kind: "damaged", movedTo, found });
  const databases: readonly LedgerDatabase[] = plans.map((plan) => createDatabase({ dir, plan, onDamage }));
  port.on("message", (message: ToLedgers) => {
    if (message.kind === "close") {
      for (const database of databases) database.close();
      port.close();
      return;
    }
    const { ledger, statements } = message;
    try {
      answer({ kind: "done", ledger, answers: databases[ledger]!.run(statements) });
    } catch (error) {
      const { code, message: text } = asHuiyuanError(error);
      answer({ kind: "failed", ledger, code, message: text });
    }
  });
}

if (parentPort !== null) serve(parentPort, workerData as LedgerThreadData);
