// Part of the composition root: makes the Site of one domain from its settings. It opens no bucket and no mirror.
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { HuiyuanError } from "../core/errors.ts";
import { type AuthorizerOptions, createAuthorizer } from "../http/request/authorizer.ts";
import type { MirrorSource, Site } from "../http/request/site.ts";
import { createCacheControl } from "../http/response/cache-control.ts";
import { parseInstruction } from "../image/grammar/grammar.ts";
import { nameRecipe } from "../image/grammar/named-recipe.ts";
import type { Stored } from "../mirror/stored/stored.ts";
import type { Variants } from "../mirror/variants/variants.ts";
import type { Binding } from "../settings/domains.ts";
import { MAX_FILE_BYTES } from "../settings/load.ts";

/** An open bucket: its objects, and the variants that are made from them. */
export interface OpenBucket {
  readonly stored: Stored;
  readonly variants: Variants;
}

/** The parts of token checks that all sites share. */
export type TokenChecks = Pick<AuthorizerOptions, "tokens" | "once" | "now">;

/** `domain`: its host, or `*`. Throws settings_invalid. */
export function createSite(
  domain: string,
  { project, bucket }: Binding,
  { stored, variants }: OpenBucket,
  source: MirrorSource | undefined,
  checks: TokenChecks,
): Site {
  const { grammarEra: era } = bucket;
  const toNamed = ([name, text]: [string, string]) => [name, nameRecipe(parseInstruction(text, { era }))] as const;
  const styles = Object.entries(bucket.styles).map(toNamed);
  const authorizer = createAuthorizer({
    appid: project.appid,
    bucket: bucket.name,
    acceptV1: project.acceptV1Signature,
    oneTimeDownloads: bucket.oneTimeDownloads,
    mode: bucket.signedCacheControl,
    tokens: checks.tokens,
    once: checks.once,
    now: checks.now,
  });
  return {
    domain,
    stored,
    variants,
    source,
    isProjectEnabled: project.enabled,
    separators: bucket.separators,
    aliases: new Map([...Object.entries(bucket.aliases).map(toNamed), ...styles]),
    styles: styles.map(([, named]) => named),
    era,
    authorizer: bucket.token === "off" ? undefined : authorizer,
    originalAuthorizer: bucket.originalProtection ? authorizer : undefined,
    referers: bucket.referers,
    cacheControl: createCacheControl(bucket.cacheControl),
    cors: bucket.cors,
    notFoundPage: bucket.notFound === undefined ? undefined : readPage(bucket.notFound.file),
  };
}

/** Reads the bucket's own 404 page into memory, because it must be served even if the disk fails. */
function readPage(file: string): NonNullable<Site["notFoundPage"]> {
  const body = readFileSync(file);
  if (body.byteLength > MAX_FILE_BYTES) {
    throw new HuiyuanError(
      "settings_invalid",
      `Cannot use "${file}" as notFound page: ${body.byteLength} bytes, the limit is ${MAX_FILE_BYTES}`,
    );
  }
  return { body, mediaType: PAGE_TYPES[extname(file).toLowerCase()] ?? "application/octet-stream" };
}

const PAGE_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".htm": "text/html; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".png": "image/png",
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
};
