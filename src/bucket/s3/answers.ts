// The few XML answers of S3 that are read: an error's code, one page of a listing, the id of a multipart upload, and of what
// kind a document is. They are flat and made by machines, so no parser is needed; what does not fit is taken as not said. Pure.

/** `<Code>` of an error document; undefined where the text is none. */
export function errorCode(xml: string): string | undefined {
  return xml.includes("<Error>") ? element(xml, "Code") : undefined;
}

/** Whether it is S3's answer that something was done: no error that comes after a 200, and no page of a proxy. */
export function isResult(xml: string, name: "CompleteMultipartUploadResult" | "CopyObjectResult" | "ListBucketResult") {
  return new RegExp(`<(?:[\\w.-]+:)?${name}[\\s/>]`).test(xml);
}

export interface ListedName {
  readonly name: string;
  readonly size: number;
  /** Lower-case hex where the ETag is one (not for what was put in parts). */
  readonly md5: string | undefined;
}

/** A ListObjectsV2 page that was asked for with encoding-type=url. */
export function listPage(xml: string): { readonly names: readonly ListedName[]; readonly isTruncated: boolean } {
  const isEncoded = element(xml, "EncodingType") === "url";
  const names = [...xml.matchAll(/<Contents>([\s\S]*?)<\/Contents>/g)].map(([, content = ""]): ListedName => {
    const name = element(content, "Key") ?? "";
    const etag = (element(content, "ETag") ?? "").replaceAll('"', "").toLowerCase();
    return {
      name: isEncoded ? decodeName(name) : name,
      size: Number(element(content, "Size") ?? 0),
      md5: /^[0-9a-f]{32}$/.test(etag) ? etag : undefined,
    };
  });
  return { names, isTruncated: element(xml, "IsTruncated") === "true" };
}

/** The id of a multipart upload that was begun. */
export function uploadId(xml: string): string | undefined {
  return element(xml, "UploadId");
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

/** The text of the first element of this name. */
function element(xml: string, name: string): string | undefined {
  const text = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];
  return text?.replace(/&(?:#(x?)([0-9a-f]+)|(amp|lt|gt|quot|apos));/gi, (whole, hex, digits, entity) => {
    if (entity !== undefined) return ENTITIES[String(entity).toLowerCase()] ?? whole;
    return String.fromCodePoint(Number.parseInt(digits, hex === "" ? 10 : 16));
  });
}

/** AWS writes a blank as `+` and a plus as `%2B`. */
function decodeName(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
