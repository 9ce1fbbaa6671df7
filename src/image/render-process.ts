// A process that renders: one image after another, for the server that started it. Decoders and encoders cannot be
// interrupted, so the server kills it when time is up; it watches its memory itself and gives up before the machine does.
import { asHuiyuanError } from "../errors.ts";
import { renderImage, restrictDecoders } from "./pipeline.ts";
import type { FromProcess, ToProcess } from "./render-messages.ts";

const MEMORY_LOOKS_MS = 20;
const maxResidentBytes = Number(process.argv[2]);

function say(message: FromProcess, then: () => void = () => {}): void {
  process.send?.(message, undefined, {}, then);
}

async function render(request: ToProcess): Promise<void> {
  const watch = setInterval(giveUpBeyondMemory, MEMORY_LOOKS_MS);
  try {
    const rendered = await renderImage(request);
    say({ kind: "rendered", rendered, residentBytes: process.memoryUsage.rss() });
  } catch (error) {
    const { code, message, parameter } = asHuiyuanError(error);
    say({ kind: "refused", code, message, parameter, residentBytes: process.memoryUsage.rss() });
  } finally {
    clearInterval(watch);
  }
}

/** At once: an orderly exit would wait for the thread that is decoding. */
function giveUpBeyondMemory(): void {
  if (process.memoryUsage.rss() <= maxResidentBytes) return;
  say({ kind: "exhausted" }, () => process.kill(process.pid, "SIGKILL"));
}

restrictDecoders();
process.on("message", (request: ToProcess) => void render(request));
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
// The server's own signals reach the whole group of a terminal; it ends its processes itself.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
say({ kind: "ready" });
