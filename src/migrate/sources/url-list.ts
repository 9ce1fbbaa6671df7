// The source `URLList`: one URL a line. Objects come from any host, or with file: URLs from this machine.
import type { Readable } from "node:stream";
import { HuiyuanError } from "../../core/errors.ts";
import type { HttpOriginOptions } from "../../origin/kinds/http-origin.ts";
import type { Source } from "../source.ts";
import { createHosts, targetOf } from "./hosts.ts";
import { createLineListing } from "./lines.ts";
import { readListedUrl, type UrlEncoding } from "./listed-url.ts";
import { answerOf, openFile } from "./local-body.ts";
import { fetchFrom } from "./origins.ts";

export interface UrlListOptions {
  /** Absolute path; `-` is `stdin`. */
  readonly file: string;
  readonly stdin?: Readable;
  readonly encoded: UrlEncoding;
  /** Whether file: URLs may be read. False for a list from another machine. */
  readonly allowsFiles: boolean;
}

/** The locator is the URL as written. */
export function createUrlListSource(options: UrlListOptions, http: HttpOriginOptions): Source {
  const { encoded, allowsFiles } = options;
  const hosts = createHosts(http);
  const read = (line: string) => {
    const url = readListedUrl(line, encoded);
    if (url.isFile && !allowsFiles) throw new HuiyuanError("url_invalid", "file: URLs are not allowed here");
    return { url, object: { fileid: url.fileid, locator: line, size: undefined, version: undefined } };
  };
  return {
    ...createLineListing({ ...options, read: (line) => read(line).object }),
    async fetch(request) {
      const { locator } = request.object;
      const { url } = read(locator);
      if (!url.isFile) return fetchFrom(hosts.originOf(url), targetOf(url), request);
      const file = await openFile(url.path);
      return file === undefined ? undefined : answerOf(file, request.maxBytes);
    },
    close: hosts.close,
  };
}
