// The Hono environment of a request to the admin API.
import type { IncomingMessage } from "node:http";

export interface ApiEnv {
  /** `incoming` is absent if a command calls the API inside its own process. */
  readonly Bindings: { readonly incoming?: IncomingMessage };
  readonly Variables: { readonly requestId: string };
}
