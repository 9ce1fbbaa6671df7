// Makes tokens and signed download URLs with the keys of the settings, for `huiyuan sign`
// and for the admin API.
import { randomInt } from "node:crypto";
import { HuiyuanError } from "../../core/errors.ts";
import { few } from "../../core/few.ts";
import { type Key, toKey } from "../../core/object.ts";
import { type PublicPlace, publicUrl } from "../../serve/http/response/public-url.ts";
import { makeToken, tokenFromQuery } from "../../serve/sign/token.ts";
import { type Binding, bindDomains, publicDomain } from "../../settings/domains.ts";
import { normalizeHost } from "../../settings/hosts.ts";
import type { KeyPair } from "../../settings/key-pair.ts";
import type { Settings } from "../../settings/schema/schema.ts";
import { invalid } from "../admin/input.ts";
import type { Signed, SignRequest } from "./calls.ts";

/** A bucket, and the key pair that signs for it. */
export interface SignPlace extends KeyPair {
  readonly appid: string;
  readonly bucket: string;
  /** Undefined without settings. */
  readonly downloads: { readonly place: PublicPlace; readonly host: string } | undefined;
}

/** A fileid, or a whole URL whose `base` ends before the slash. */
export interface SignTarget {
  readonly fileid: Key;
  readonly url: { readonly base: string; readonly host: string; readonly query: string } | undefined;
}

/** Throws url_invalid. */
export function readSignTarget(text: string): SignTarget {
  // Not `new URL`: it would turn `//` and dot segments into other names.
  const match = /^(https?:\/\/([^/?#]+))(?:\/([^?#]*))?(?:\?([^#]*))?/i.exec(text);
  if (match === null) return { fileid: toKey(text), url: undefined };
  const [, base = "", host = "", path = "", query = ""] = match;
  return { fileid: toKey(decodePath(path)), url: { base, host, query } };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new HuiyuanError("url_invalid", "its path has an invalid % escape");
  }
}

export interface PlaceRequest {
  readonly appid?: string | undefined;
  readonly bucket?: string | undefined;
  readonly secretId?: string | undefined;
  /** The host of the URL to sign. */
  readonly host: string | undefined;
  /** The name of the settings in messages. */
  readonly file: string;
}

type Candidate = Pick<Binding, "project" | "bucket">;

/** Throws request_invalid unless exactly one bucket matches, and has an enabled key pair. */
export function findSignPlace(
  settings: Settings,
  { appid, bucket: name, secretId, host, file }: PlaceRequest,
): SignPlace {
  const all = settings.projects.flatMap((project) => project.buckets.map((bucket): Candidate => ({ project, bucket })));
  // A named bucket is not checked against the URL, which may be that of a CDN that the settings do not know.
  const { hosts, star } = bindDomains(settings);
  const bound = host === undefined || name !== undefined ? undefined : (hosts.get(normalizeHost(host) ?? "") ?? star);
  const fitting = all.filter(
    ({ project, bucket }) =>
      (appid === undefined || project.appid === appid) &&
      (name === undefined ? host === undefined || bucket === bound?.bucket : bucket.name === name),
  );
  const [only] = fitting;
  if (only === undefined && host !== undefined && name === undefined)
    throw invalid(`${host} is no domain in ${file}, which has ${few([...hosts.keys()])}; ${OTHER_HOST}`);
  if (only === undefined) throw invalid(`no bucket in ${file} fits; there are ${list(all)}`);
  if (fitting.length > 1) throw invalid(`choose with --appid and --bucket: ${list(fitting)}`);
  const { project, bucket } = only;
  const key = project.keys.find((pair) => pair.enabled && pair.secretId === (secretId ?? pair.secretId));
  if (key === undefined) throw invalid(`project ${project.appid} in ${file} has no such enabled key pair`);
  return {
    appid: project.appid,
    bucket: bucket.name,
    secretId: key.secretId,
    secretKey: key.secretKey,
    downloads: { place: settings.server, host: publicDomain(settings.server, project, bucket) },
  };
}

const OTHER_HOST = "for the host of a CDN, name the bucket with --bucket";

function list(places: readonly Candidate[]): string {
  return few(places.map(({ project, bucket }) => `${project.appid}/${bucket.name}`));
}

export interface Signing {
  /** Undefined: any file of the bucket. */
  readonly target: SignTarget | undefined;
  /** Added to the query of the download URL; not encoded. */
  readonly instruction?: string | undefined;
  /** True: a multi-use token is for any file of the bucket, whatever the URL. */
  readonly unbound: boolean;
  /** Seconds from now; undefined: the token is for one use. */
  readonly life: number | undefined;
  /** Whether the result has a download URL. */
  readonly isDownload: boolean;
}

/** Throws request_invalid if the URL of a fileid is not known, and sign_malformed. */
export function sign(place: SignPlace, { target, instruction, unbound, life, isDownload }: Signing): Signed {
  const { appid, bucket, secretId, secretKey } = place;
  const unsigned = isDownload && target !== undefined ? unsignedUrl(target, place, instruction) : undefined;
  const fileid = unbound ? "" : (target?.fileid ?? "");
  const issuedAt = Math.floor(Date.now() / 1_000);
  const expires = life === undefined ? 0 : issuedAt + life;
  const fields = { appid, bucket, secretId, expires, issuedAt, random: randomInt(2 ** 32), userid: "0", fileid };
  const token = makeToken(fields, secretKey);
  const kind = expires === 0 ? "one-time" : "multi-use";
  const url = unsigned && { url: `${unsigned}sign=${encodeURIComponent(token)}` };
  return { ...url, token, kind, appid, bucket, secretId, fileid, issuedAt, expires };
}

/** The URL up to the signature. */
function unsignedUrl({ fileid, url }: SignTarget, { downloads }: SignPlace, instruction = ""): string {
  const path = fileid.split("/").map(encodeURIComponent).join("/");
  const own = downloads && publicUrl(downloads.place, downloads.host, fileid);
  const bare = url === undefined ? own : `${url.base}/${path}`;
  if (bare === undefined)
    throw invalid("give the whole URL to sign, because no settings file is read or its server.port is 0");
  // The new signature replaces an older one.
  const query = [tokenFromQuery(url?.query ?? "").rest, encodeURI(instruction).replace(/[&#]/g, encodeURIComponent)];
  return `${bare}?${query
    .filter((part) => part !== "")
    .map((part) => `${part}&`)
    .join("")}`;
}

/** Signs for the admin API, with the settings in force. `port`: the one that downloads listen on. */
export function createSigner(settings: () => Settings, port: number): (request: SignRequest) => Signed {
  return ({ operation, url, bucket: named, key, secretId, ...signing }) => {
    const bare = key === undefined ? undefined : { fileid: toKey(key), url: undefined };
    const target = url === undefined ? bare : readSignTarget(url);
    const [bucket, appid] = (named?.split("/") ?? []).toReversed();
    const current = settings();
    const bound = { ...current, server: { ...current.server, port } };
    const place = findSignPlace(bound, { appid, bucket, secretId, host: target?.url?.host, file: "the settings" });
    return sign(place, { target, ...signing, isDownload: operation === "download" });
  };
}
