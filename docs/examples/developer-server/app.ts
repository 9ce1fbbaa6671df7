// The developer's server (业务服务器): permits uploads, verifies callbacks, and shows each user their own pictures. Image
// bytes never pass through it: the browser exchanges them with the image service directly.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { getCookie, setCookie } from "hono/cookie";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import { type Client, HuiyuanClientError, verifyCallback } from "huiyuan/client";
import { page, pictureCard } from "./page.ts";
import type { Pictures } from "./pictures.ts";

export interface AppParts {
  readonly client: Client;
  readonly pictures: Pictures;
  /** The same value as the bucket's `callback.secret`. */ readonly callbackSecret: string;
  /** The image service's URL as the browser sees it: scheme, host and port. */ readonly images: string;
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PERMIT_SECONDS = 300;
const MAX_TITLE_CHARACTERS = 100;
const MONTH_SECONDS = 2_592_000;

export function createApp({ client, pictures, callbackSecret, images }: AppParts): Hono {
  const app = new Hono();
  const ours = ["'self'", images];
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: [...ours, "data:"],
        connectSrc: ours,
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
      // Images come from another origin, whose responses have no Cross-Origin-Resource-Policy header.
      crossOriginEmbedderPolicy: false,
    }),
  );
  app.use(bodyLimit({ maxSize: 65_536 }));

  // Only the image service's callback confirms an upload and its owner.
  app.post("/callback", async (context) => {
    const body = new Uint8Array(await context.req.arrayBuffer());
    const verdict = verifyCallback(body, { secret: callbackSecret });
    if (!verdict.ok) return context.json({ refused: verdict.refusal }, 403);
    const { fileid, size, sha1 } = verdict.notice;
    const picture = pictures.markStored(fileid, { size, sha1 });
    if (picture === undefined) return context.json({ refused: "unknown picture" }, 404);
    console.log(`callback: ${fileid} is stored, ${size} bytes`);
    return context.json({ id: picture.id }); // reaches the browser as data.callback
  });

  app.use(refuseOtherPages);
  app.get("/", (context) => context.html(page(pictures.of(userOf(context)), client)));
  for (const [path, type] of [
    ["page.css", "text/css; charset=utf-8"],
    ["page.js", "text/javascript; charset=utf-8"],
  ] as const) {
    const text = readFileSync(new URL(`./public/${path}`, import.meta.url), "utf8");
    app.get(`/${path}`, (context) => context.body(text, 200, { "Content-Type": type, "Cache-Control": "no-cache" }));
  }

  // The server names the file and signs for that name alone, so a browser can store one picture and overwrite none.
  app.post("/permits", async (context) => {
    const title = titleFrom(await context.req.json().catch(() => undefined));
    if (title === undefined) return context.json({ message: "wanted a title" }, 400);
    const [id, owner] = [randomUUID(), userOf(context)];
    const fileid = `users/${owner}/${id}`;
    if (!pictures.permit({ id, fileid, owner, title })) return context.json({ message: "too many pictures" }, 409);
    const sign = client.sign({ operation: "upload", fileid, lifeSeconds: PERMIT_SECONDS });
    return context.json({ id, sign, url: `${images}/photos/v2/10001234/photos/0/${encodeURIComponent(fileid)}` });
  });

  app.get("/pictures/:id", (context) => {
    const picture = pictures.find(context.req.param("id"), userOf(context));
    return picture === undefined ? context.notFound() : context.html(pictureCard(picture, client));
  });

  app.post("/pictures/:id/delete", async (context) => {
    const [id, owner] = [context.req.param("id"), userOf(context)];
    const picture = pictures.find(id, owner);
    if (picture === undefined) return context.notFound();
    await client.delete(picture.fileid).catch((error: unknown) => {
      if (!(error instanceof HuiyuanClientError) || error.name !== "not_found") throw error;
    });
    pictures.remove(id, owner);
    return context.redirect("/", 303);
  });

  app.onError((error, context) => {
    if (error instanceof HTTPException) return error.getResponse(); // the body is too large
    console.error(error instanceof HuiyuanClientError ? `${error.name} (${error.requestId}): ${error.message}` : error);
    return context.text("Something went wrong here. Try again.", 500);
  });
  return app;
}

/** Gives a visitor without a cookie a new user id. A production server has logins; this cookie cannot be guessed. */
function userOf(context: Context): string {
  const known = getCookie(context, "user");
  if (known !== undefined && UUID.test(known)) return known;
  const user = randomUUID();
  setCookie(context, "user", user, { httpOnly: true, sameSite: "Strict", path: "/", maxAge: MONTH_SECONDS });
  return user;
}

/** Keeps other sites from making a browser post here. Programs send no Origin, but have no user's cookie either. */
async function refuseOtherPages(context: Context, next: () => Promise<void>): Promise<Response | undefined> {
  const { method, url } = context.req;
  const origin = context.req.header("origin");
  if (method === "POST" && origin !== undefined && origin !== new URL(url).origin) return context.text("", 403);
  await next();
  return undefined;
}

function titleFrom(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null || !("title" in body) || typeof body.title !== "string")
    return undefined;
  return body.title.toWellFormed().slice(0, MAX_TITLE_CHARACTERS) || undefined;
}
