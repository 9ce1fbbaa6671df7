// Results of the client's calls. Types only.

/** An image that was just stored. */
export interface Uploaded {
  readonly fileid: string;
  /** Download URL without a signature. */ readonly downloadUrl: string;
  /** Its address in the REST API. */ readonly url: string;
  /** Pixels; undefined if the service did not say. */ readonly width: number | undefined;
  readonly height: number | undefined;
  /** Your server's answer to the callback, parsed. Absent without a callback. */ readonly callback?: unknown;
}

export type Copied = Pick<Uploaded, "fileid" | "downloadUrl" | "url">;

export interface ImageStat {
  readonly fileid: string;
  readonly downloadUrl: string;
  readonly uploadedAt: Date;
  /** Bytes. */ readonly size: number;
  /** Lower-case hex. */ readonly md5: string;
  /** Pixels; 0 if the service does not know them. */ readonly width: number;
  readonly height: number;
}
