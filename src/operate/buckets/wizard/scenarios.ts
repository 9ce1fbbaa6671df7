// The four scenarios: who uploads, and where the images are until now. From the answers of the wizard it makes the
// edits of the settings file. docs/start/ has a page about each scenario, with the same settings.
import { listAt, textAt } from "../../console/tree.ts";
import { type Edit, pathText } from "../../settings/page/draft.ts";
import { type BucketPlace, defaultDomain, type PRESETS } from "../page/tree.ts";

export const SCENARIOS = [1, 2, 3, 4] as const;
export type Scenario = (typeof SCENARIOS)[number];

export const isUploaded = (scenario: Scenario) => scenario >= 3;
export const isOnSite = (scenario: Scenario) => scenario % 2 === 0;

/** The public domain of any cloud, a download domain of Qiniu, or a preset of `type: s3`. */
export type Vendor = "domain" | "qiniu" | (typeof PRESETS)[number][0];

/** The fields of the wizard's form. An empty text is no answer. */
export interface Answers {
  readonly scenario: Scenario;
  readonly appid: string;
  readonly bucket: string;
  readonly host: string;
  /** The bucket and the domain of the uploads, if they are not those of the old images. */
  readonly uploadBucket: string;
  readonly uploadHost: string;
  /** URL of the site, or of a domain of the cloud. */
  readonly url: string;
  readonly hostHeader: string;
  readonly referer: string;
  /** Whether the site makes other images of the query, such as ?width=200. */
  readonly usesQuery: boolean;
  readonly allowPrivate: boolean;
  readonly vendor: Vendor;
  readonly region: string;
  readonly endpoint: string;
  readonly remoteBucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
}

export const NO_ANSWERS: Answers = {
  ...{ scenario: 1, appid: "", bucket: "photos", host: "", uploadBucket: "uploads", uploadHost: "", url: "" },
  ...{ hostHeader: "", referer: "", usesQuery: false, allowPrivate: false, vendor: "domain", region: "", endpoint: "" },
  ...{ remoteBucket: "", accessKey: "", secretKey: "" },
};

/** Whether the origin is of `type: site`. */
export const isSite = ({ scenario, vendor }: Answers) => isOnSite(scenario) || vendor === "domain";

/** Whether the field `url` is the origin's address. */
export const usesUrl = (answers: Answers) => isSite(answers) || answers.vendor === "qiniu";

/** Whether the store has no address of its own, so that it is often in a private network. */
export const hasEndpoint = (answers: Answers) =>
  !usesUrl(answers) && (answers.vendor === "minio" || answers.vendor === "ceph");

export function editsOfAnswers(tree: unknown, answers: Answers): readonly Edit[] {
  const { scenario, appid } = answers;
  const project = listAt(tree, ["projects"]).findIndex((each) => textAt(each, ["appid"]) === appid);
  const first = listAt(tree, ["projects", project, "buckets"]).length;
  const isSplit = isUploaded(scenario) && isOnSite(scenario);
  const values = [
    mirroredBucket(tree, answers, isUploaded(scenario) && !isSplit),
    ...(isSplit ? [uploadBucket(answers)] : []),
  ];
  return values.map((value, index) => ({ path: ["projects", project, "buckets", first + index], value }));
}

/** The bucket of the old images. */
export function placeOfAnswers({ appid, bucket }: Answers): Omit<BucketPlace, "path"> {
  return { appid, name: bucket };
}

function mirroredBucket(tree: unknown, answers: Answers, takesUploads: boolean): object {
  const { host, usesQuery } = answers;
  const isQueryKept = isSite(answers) && usesQuery;
  return {
    name: answers.bucket,
    access: takesUploads ? "upload-download" : "download",
    domains: [
      {
        host: host === "" ? defaultDomain(tree, placeOfAnswers(answers)) : host,
        mirror: { type: isQueryKept ? "everything" : "originals", origins: [originOf(answers)] },
      },
    ],
  };
}

/** Without a mirror it never sends a request to an origin. */
function uploadBucket({ uploadBucket: name, uploadHost }: Answers): object {
  const domains = uploadHost === "" ? {} : { domains: [{ host: uploadHost }] };
  return { name, access: "upload-download", ...domains };
}

/** The entry of `origins`. */
export function originOf(answers: Answers): object {
  const { url, hostHeader, referer, vendor, accessKey, secretKey, remoteBucket } = answers;
  const more = answers.allowPrivate ? { allowPrivate: true } : {};
  if (isSite(answers)) return { type: "site", url, ...given({ host: hostHeader, referer }), ...more };
  if (vendor === "qiniu") {
    const isPrivate = accessKey !== "";
    return { type: "qiniu", domain: url, ...(isPrivate && { private: true, accessKey, secretKey }), ...more };
  }
  const place = given({ region: answers.region, endpoint: answers.endpoint });
  const keys = given({ accessKeyId: accessKey, secretAccessKey: secretKey });
  return { type: "s3", preset: vendor, ...place, bucket: remoteBucket, ...keys, ...more };
}

/** The settings of the fields in the bucket that the answers make. */
const PLACES: Partial<Record<keyof Answers, readonly string[]>> = {
  bucket: ["name"],
  host: ["domains[0].host"],
  url: ["domains[0].mirror.origins[0].url", "domains[0].mirror.origins[0].domain"],
  hostHeader: ["domains[0].mirror.origins[0].host"],
  referer: ["domains[0].mirror.origins[0].referer"],
  region: ["domains[0].mirror.origins[0].region"],
  endpoint: ["domains[0].mirror.origins[0].endpoint"],
  remoteBucket: ["domains[0].mirror.origins[0].bucket"],
  accessKey: ["domains[0].mirror.origins[0].accessKey", "domains[0].mirror.origins[0].accessKeyId"],
  secretKey: ["domains[0].mirror.origins[0].secretKey", "domains[0].mirror.origins[0].secretAccessKey"],
};

/** The fault of a field's setting. `edits`: those of the answers. */
export function faultOf<Fault extends { readonly path: string }>(
  faults: readonly Fault[],
  edits: readonly Edit[],
  name: keyof Answers,
): Fault | undefined {
  const isUpload = name === "uploadBucket" || name === "uploadHost";
  const own = name === "uploadBucket" ? "bucket" : name === "uploadHost" ? "host" : name;
  const bucket = pathText(edits[isUpload ? 1 : 0]?.path ?? []);
  return faults.find(({ path }) => PLACES[own]?.some((place) => path === `${bucket}.${place}`));
}

function given(values: Readonly<Record<string, string>>): object {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}

/** Puts a scheme before a bare host: http for IP addresses, localhost and other ports, else https. */
export function withScheme(text: string): string {
  const url = text.trim();
  if (url === "" || /^[a-z]+:\/\//i.test(url)) return url;
  const [host = ""] = url.split("/", 1);
  return `${/:\d+$|^[\d.]+$|^\[|^localhost$|\.localhost$/i.test(host) ? "http" : "https"}://${url}`;
}

/** Removes a scheme, and slashes at both ends. */
export function bareHost(text: string): string {
  return text.trim().replace(/^[a-z]*:?\/\/|\/+$/gi, "");
}
