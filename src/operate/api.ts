// The admin API, /api/v1: the Hono application with the calls that operators make. It checks no access:
// admin/access.ts does for the admin port, and a command without a server calls it inside its own process.
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { asHuiyuanError, errorRow, isServerFailure } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { readVersion } from "../core/version.ts";
import type { RestApiParts } from "../serve/http/rest/call.ts";
import type { SettingsFile } from "../settings/edit/settings-file.ts";
import type { Access } from "./admin/access.ts";
import { problemOf } from "./admin/audit.ts";
import { type ApiEnv, createCalls, listAnswer } from "./admin/calls.ts";
import { listBuckets, logIn, logOut, showSession } from "./admin/contract/contract.ts";
import { describeApi } from "./admin/contract/openapi.ts";
import { managedBucket } from "./admin/naming.ts";
import { addCallbackCalls } from "./callbacks/calls.ts";
import { addDoctorCall } from "./doctor/calls.ts";
import { addExplainCall } from "./explain/calls.ts";
import { addImageCall } from "./images/calls/image.ts";
import { addObjectCalls, addVariantsCall } from "./images/calls/object-calls.ts";
import { addUploadCall } from "./images/calls/upload.ts";
import { addWarmCall } from "./images/calls/warm.ts";
import { addContentCall, addMigrationCalls } from "./migrations/calls.ts";
import type { MigrationJobs } from "./migrations/jobs/jobs.ts";
import { listNodes } from "./nodes/contract.ts";
import type { OperatedService } from "./operated-service.ts";
import { addLogCalls } from "./operations/calls.ts";
import { addOriginCalls } from "./origins/calls.ts";
import { type LiveFigures, type OverviewAnswer, showLive, showOverview } from "./overview/contract.ts";
import { addSettingsCalls } from "./settings/calls.ts";
import { addSignCall, type Signer } from "./signing/calls.ts";
import { addUsageCall } from "./usage/calls.ts";

export interface ApiOptions {
  readonly operated: Pick<OperatedService, "service" | "operations" | "usage">;
  /** The public addresses of the server. */
  readonly place: RestApiParts["place"];
  /** Undefined if a command calls the API inside its own process, which lacks the calls that need them. */
  readonly server?: ServerParts;
  /** `server.healthPath` of the settings in force. */
  readonly healthPath: () => string;
  readonly nextRequestId: () => string;
  /** Aborts when the server starts to shut down. */
  readonly stopping: AbortSignal;
  readonly log: Log;
}

/** The parts that only a server has. */
export interface ServerParts {
  readonly access: Access;
  readonly sign: Signer;
  /** Both are undefined without a settings file. */
  readonly migrations: MigrationJobs | undefined;
  readonly settingsFile: SettingsFile | undefined;
  readonly live: () => LiveFigures;
  readonly overview: () => Promise<OverviewAnswer>;
}

/** All paths begin with /api/v1. */
export function createApi(options: ApiOptions): Hono<ApiEnv> {
  const { operated, place, server, healthPath, nextRequestId, stopping, log } = options;
  const { service, operations, usage } = operated;
  const { registry, callbacks, cluster } = service;
  const restApi = { ...service.restApi, place };
  const api = new Hono<ApiEnv>().basePath("/api/v1");
  api.use(async (context, next) => {
    if (context.get("requestId") === undefined) context.set("requestId", nextRequestId());
    context.set("record", (operation) => operations.record(operation));
    return next();
  });

  const calls = createCalls(api);
  calls.add(listBuckets, (context) =>
    listAnswer(context, "buckets", registry.buckets(), ([bucket, sites]) => ({
      bucket,
      takesUploads: managedBucket(bucket, restApi.projects()).takesUploads,
      domains: sites.map(({ domain, source }) => ({ domain, isMirrored: source !== undefined })),
    })),
  );
  addOriginCalls(calls, { registry, stopping });
  addObjectCalls(calls, { registry, restApi, cluster, operations, usage, log });
  addContentCall(calls, { registry, restApi, stopping });
  addUploadCall(calls, { registry, restApi, cluster, operations, usage, stopping, log });
  addVariantsCall(calls, { registry });
  addImageCall(calls, { registry });
  addWarmCall(calls, { registry, stopping, log });
  addExplainCall(calls, { registry, healthPath });
  addCallbackCalls(calls, { ...callbacks, registry, restApi, log });
  addLogCalls(calls, { registry, operations });
  addUsageCall(calls, { registry, usage });
  calls.add(listNodes, async (context) => {
    const nodes = (await cluster?.nodes()) ?? [];
    const viewOf = (node: (typeof nodes)[number]) => ({ ...node, startedAt: new Date(node.startedAt).toISOString() });
    return context.json({ nodes: nodes.map(viewOf) });
  });
  if (server !== undefined) {
    addDoctorCall(calls, { stopping, log });
    addSignCall(calls, server.sign);
    addMigrationCalls(calls, { jobs: server.migrations, log });
    addSettingsCalls(calls, { file: server.settingsFile, log });
    calls.add(showSession, (context) => context.json(server.access.stateOf(context)));
    calls.add(logIn, (context, { token }) => server.access.login(context, token));
    calls.add(logOut, (context) => context.json(server.access.logout(context)));
    calls.add(showOverview, async (context) => context.json(await server.overview()));
    calls.add(showLive, (context) => context.json(server.live()));
  }
  // Built on request, which is rare.
  api.get("/openapi.json", (context) => context.json(describeApi(calls.list, readVersion())));

  api.notFound((context) =>
    context.json({ code: -106, message: "no such call", requestId: context.get("requestId") }, 404),
  );
  api.onError((error, context) => {
    const known = asHuiyuanError(error);
    const requestId = context.get("requestId");
    const status = known.answerStatus ?? errorRow(known.code).status;
    // Nothing reads the rest of the body.
    if (status === 408 || status === 413) context.header("Connection", "close");
    if (isServerFailure(known)) log.error({ err: known, requestId }, "an admin request failed");
    // The error table has statuses that the type of Hono lacks.
    return context.json(problemOf(known, requestId), status as ContentfulStatusCode);
  });
  return api;
}
