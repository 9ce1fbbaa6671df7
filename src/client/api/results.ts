// What the calls of the client resolve with.

/** An image that was just stored. */
export interface Uploaded {
  readonly fileid: string;
  /** Where it is downloaded, without a signature. */ readonly downloadUrl: string;
  /** Its address in the REST API. */ readonly url: string;
  /** Pixels; undefined where the service did not say. */ readonly width: number | undefined;
  readonly height: number | undefined;
  /** What your server answered the callback, parsed; absent where the bucket has none. */ readonly callback?: unknown;
}

export interface Copied {
  readonly fileid: string;
  readonly downloadUrl: string;
  readonly url: string;
}

export interface ImageStat {
  readonly fileid: string;
  readonly downloadUrl: string;
  readonly uploadedAt: Date;
  /** Bytes. */ readonly size: number;
  /** Lower-case hex. */ readonly md5: string;
  /** Pixels; 0 where the service does not know them. */ readonly width: number;
  readonly height: number;
}
