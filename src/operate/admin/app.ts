// Every route of the admin port, as a Hono application. Its onError is the only place where an error becomes an answer.
import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { type AdminOptions, adminGuards, page, refusalOf, unreadable } from "./admin.ts";
import type { ApiEnv } from "./calls.ts";

/** Creates the `request` listener of the admin port. */
export function createAdminApp(options: AdminOptions): (request: IncomingMessage, response: ServerResponse) => void {
  const { api, access, console, addTrial, readiness, metrics, version, nextRequestId, log } = options;
  const { ownNames, reads } = adminGuards(options);
  const app = new Hono<ApiEnv>();
  app.use(ownNames);
  app.use(access.recognize);
  app.use("/metrics", access.guard);
  app.use("/api/*", access.guard);
  app.route("/", api);
  addTrial?.(app);
  app.use(reads);
  app.get("/healthz", (context) => context.json({ status: "alive", version }));
  app.get("/readyz", async (context) => {
    const { isReady, notes } = await readiness();
    return context.json({ status: isReady ? "ready" : "not ready", notes }, isReady ? 200 : 503);
  });
  app.get("/metrics", async (context) => {
    const { mediaType, text } = await metrics();
    return context.body(text, 200, { "Content-Type": mediaType });
  });
  const missing = (context: Context<ApiEnv>) => context.json(refusalOf(context, -106, "no such page; see /"), 404);
  if (console === undefined) app.get("/", (context) => context.html(page(version)));
  else {
    app.get(
      "/console/:name",
      async (context) => (await console.file(context, context.req.param("name"))) ?? missing(context),
    );
    // Pages of the console have paths of their own, which a browser may open first.
    const document = (context: Context<ApiEnv>) => console.document(context, addTrial !== undefined);
    app.get("/", document);
    app.get("*", (context, next) =>
      context.req.header("accept")?.includes("text/html") === true ? document(context) : next(),
    );
  }
  app.notFound(missing);
  app.onError((error, context) => {
    log.error({ err: error, requestId: context.get("requestId") }, "an admin request failed");
    return context.json(refusalOf(context, -100, "internal server error"), 500);
  });
  return getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    // HTTP/1.0 may omit Host, as health checks of load balancers do. The guards check such a request too.
    hostname: "localhost",
    // The only errors here are a Host or a target that is no valid URL.
    errorHandler: () => unreadable(nextRequestId()),
  });
}
