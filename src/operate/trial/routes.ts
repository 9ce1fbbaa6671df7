// The routes of the page of `huiyuan try`, on the admin port. They read requests and write audit lines; run/ does
// the work behind `Trial`, and document.ts writes the page.
import type { Context, Hono, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { setCookie } from "hono/cookie";
import type { Log } from "../../core/log.ts";
import { refusalOf } from "../admin/app.ts";
import { auditOf } from "../admin/audit.ts";
import type { ApiEnv } from "../admin/calls.ts";
import { beginDocument, type Console, languageOf } from "../admin/console.ts";
import { renderTrial } from "./document.ts";
import type { Outcome, Trial } from "./run/trial.ts";
import { type Fault, trialTexts } from "./words.ts";

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
    const t = trialTexts(language);
    const head = beginDocument(context, { title: `${t("trial")} · Huiyuan`, head: console?.trialHead ?? "" });
    const { picture, form } = context.req.query();
    const fault = refused && { address: refused.address, text: refused.fault(t) };
    const body = renderTrial(await trial.view(), { t, language, picture, form, fault });
    return context.html(`${head}${await body}\n</html>\n`, fault === undefined ? 200 : 400);
  }

  /** Adds the route of a form of this page, with an audit line. */
  function onForm(name: string, work: (address: string) => Promise<Outcome>) {
    app.post(`/trial/${name}`, isOwnForm, isShort, async (context) => {
      const address = new URLSearchParams(await context.req.text()).get("address");
      const { fault, picture } = await work(address ?? "");
      auditOf(context, log, { operation: `trial ${name}` })(fault === undefined ? "done" : "failed", {});
      if (fault !== undefined) return answerPage(context, { address, fault });
      return context.redirect(picture === undefined ? "/trial" : `/trial?picture=${encodeURIComponent(picture)}`, 303);
    });
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
  onForm("stop", trial.stop);
  onForm("resume", trial.resume);
  onForm("use", trial.use);
}

/** The admin port refuses other origins. A browser names one with every form. */
const isOwnForm: MiddlewareHandler<ApiEnv> = async (context, next) => {
  if (context.req.header("origin") !== undefined) return next();
  return context.json(refusalOf(context, -103, "only the trial's own page may do this"), 403);
};

const isShort = bodyLimit({
  maxSize: MAX_FORM_BYTES,
  onError: (context) => context.json(refusalOf(context, -103, "the form is too long"), 413),
});

const missing = (context: Context<ApiEnv>) => context.json(refusalOf(context, -106, "there is no such picture"), 404);
