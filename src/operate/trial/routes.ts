// The routes of the page of `huiyuan try`, on the admin port. They read requests and write audit lines; run/ does
// the work behind `Trial`, and document.ts writes the page.
import type { Context, Hono, MiddlewareHandler } from "hono";
import { setCookie } from "hono/cookie";
import type { Log } from "../../core/log.ts";
import { refusalOf } from "../admin/app.ts";
import { auditOf } from "../admin/audit.ts";
import type { ApiEnv } from "../admin/calls.ts";
import { beginDocument, type Console, languageOf } from "../admin/console.ts";
import { renderTrial } from "./document.ts";
import { trialTexts } from "./texts.ts";
import type { Fault, Trial } from "./trial-view.ts";

/** A field that is longer is no address. */
const MAX_FORM_BYTES = 16_384;
/** Whatever an image contains, a browser that opens it runs nothing. */
const IMAGE_POLICY = { "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox" };

export interface TrialRouteOptions {
  readonly trial: Trial;
  readonly console: Console | undefined;
  readonly access: MiddlewareHandler<ApiEnv>;
  readonly log: Log;
}

export function addTrialRoutes(app: Hono<ApiEnv>, { trial, console, access, log }: TrialRouteOptions): void {
  async function answerPage(
    context: Context<ApiEnv>,
    refused?: { readonly address: string | null; readonly fault: Fault },
  ) {
    // Without it, a browser would not name this page as the origin of its forms.
    context.header("Referrer-Policy", "same-origin");
    const language = languageOf(context);
    const texts = trialTexts[language];
    const head = beginDocument(context, { title: `${texts.title} · Huiyuan`, head: console?.trialHead ?? "" });
    const { picture, form } = context.req.query();
    const fault = refused && { address: refused.address, text: refused.fault(texts) };
    const body = renderTrial(await trial.view(), { texts, language, picture, form, fault });
    return context.html(`${head}${await body}\n</html>\n`, fault === undefined ? 200 : 400);
  }

  /** Runs `work` for a form of this page, with an audit line. */
  async function change(context: Context<ApiEnv>, work: (fields: URLSearchParams) => Promise<Changed>) {
    // The admin port refuses other origins. A browser names one with every form.
    if (context.req.header("origin") === undefined)
      return context.json(refusalOf(context, -103, "only the trial's own page may do this"), 403);
    const text = await readForm(context);
    if (text === undefined) return context.json(refusalOf(context, -103, "the form is too long"), 413);
    const fields = new URLSearchParams(text);
    const changed = await work(fields);
    auditOf(context, log, { operation: context.req.path.slice(1).replace("/", " ") })(
      "fault" in changed ? "failed" : "done",
      {},
    );
    if ("fault" in changed) return answerPage(context, { address: fields.get("address"), fault: changed.fault });
    const query = changed.picture === undefined ? "" : `?picture=${encodeURIComponent(changed.picture)}`;
    return context.redirect(`/trial${query}`, 303);
  }

  app.use("/trial/*", access);
  app.get("/trial", (context) => answerPage(context));
  app.get("/trial/picture", async (context) => {
    const path = await trial.picture(context.req.query("key") ?? "", context.req.query("form") ?? "original");
    return path === undefined ? missing(context) : context.redirect(path, 302);
  });
  app.get("/trial/original", async (context) => {
    const found = await trial.original(context.req.query("key") ?? "");
    if (found === undefined) return missing(context);
    return context.body(new Uint8Array(found.bytes), 200, { ...IMAGE_POLICY, "Content-Type": found.mediaType });
  });
  // A link, because the page needs no script.
  app.get("/trial/language", (context) => {
    const to = context.req.query("to") === "zh" ? "zh" : "en";
    setCookie(context, "huiyuan_language", to, { path: "/", maxAge: 31_536_000, sameSite: "Strict" });
    return context.redirect("/trial", 303);
  });
  app.get("/trial/progress", (context) => context.json(trial.progress()));
  app.post("/trial/stop", (context) =>
    change(context, async () => {
      const fault = await trial.stop();
      return fault === undefined ? NOTHING_NAMED : { fault };
    }),
  );
  app.post("/trial/resume", (context) =>
    change(context, async () => {
      trial.resume();
      return NOTHING_NAMED;
    }),
  );
  app.post("/trial/use", (context) => change(context, (fields) => trial.use(fields.get("address") ?? "")));
}

type Changed = Awaited<ReturnType<Trial["use"]>>;
const NOTHING_NAMED: Changed = { picture: undefined };

const missing = (context: Context<ApiEnv>) => context.json(refusalOf(context, -106, "there is no such picture"), 404);

/** Undefined: it is too long. */
async function readForm(context: Context<ApiEnv>): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of context.req.raw.body ?? []) {
    size += part.byteLength;
    if (size > MAX_FORM_BYTES) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}
