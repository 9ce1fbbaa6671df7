// What Hono carries along with a request of the admin port.
import type { IncomingMessage } from "node:http";

export interface ApiEnv {
  /** Without `incoming` for a command that asks within its own process. */
  readonly Bindings: { readonly incoming?: IncomingMessage };
  readonly Variables: { readonly requestId: string };
}
