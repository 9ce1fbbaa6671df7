// The SDK's one error class, for refusals of the service, transport failures and bad arguments, and the one table of
// the REST API's codes: number → name that a program acts on, and its meaning in English. The server's own message
// (often in Chinese) becomes a part of the error's message and is not in this table.

/** `isRefusedUnprocessed`: the busy service refused the request before it did anything, so a retry is safe. */
interface CodeRow {
  readonly name: string;
  readonly meaning: string;
  readonly isRefusedUnprocessed?: true;
}

const CODES = {
  // The request
  [-5999]: { name: "path_invalid", meaning: "the appid, bucket or fileid is not valid in a path" },
  [-5997]: { name: "origin_failed", meaning: "the image could not be fetched from its origin" },
  [-5996]: { name: "method_refused", meaning: "this HTTP method is not supported" },
  [-5995]: { name: "size_refused", meaning: "the image is empty or too large" },
  [-5994]: { name: "operation_unknown", meaning: "the operation is not known" },
  [-5993]: { name: "form_broken", meaning: "the multipart form cannot be read" },
  [-5992]: { name: "form_value_invalid", meaning: "a value of the form is not valid" },
  [-5990]: { name: "file_part_missing", meaning: "the form has no file" },
  [-5989]: { name: "service_failed", meaning: "the service failed to do the operation" },
  [-75]: { name: "operation_unsupported", meaning: "the bucket only serves downloads" },
  [-71]: { name: "too_frequent", meaning: "too many requests; retry later", isRefusedUnprocessed: true },
  [-2000]: { name: "overloaded", meaning: "the service is busy or stopping; retry", isRefusedUnprocessed: true },
  // The signature
  [-5998]: { name: "signature_malformed", meaning: "the signature cannot be read" },
  [-97]: { name: "signature_wrong", meaning: "the signature was made with another key, or its lifetime is too long" },
  [-96]: { name: "signature_expired", meaning: "the signature has expired" },
  [-82]: { name: "appid_unknown", meaning: "no such project" },
  [-81]: { name: "signature_missing", meaning: "a signature is required" },
  [-79]: { name: "secret_id_unknown", meaning: "the SecretID does not belong to the project, or is disabled" },
  [-77]: { name: "signature_spent", meaning: "the one-time signature has been used" },
  [-76]: { name: "signature_unbound", meaning: "a one-time signature must name a file" },
  [-74]: { name: "signature_one_time", meaning: "a multi-use signature is required" },
  [-73]: { name: "signature_multi_use", meaning: "a one-time signature is required" },
  [-72]: { name: "signature_failed", meaning: "the signature could not be checked" },
  [-70]: { name: "signature_scope", meaning: "the signature is for another project, bucket or file" },
  [-64]: { name: "project_disabled", meaning: "the project is disabled" },
  // The image
  [-1898]: { name: "md5_wrong", meaning: "the received bytes have another MD5" },
  [-1894]: { name: "bucket_unknown", meaning: "no such bucket" },
  [-1893]: { name: "not_an_image", meaning: "the file is not a whole image, or cannot be decoded" },
  [-1889]: { name: "store_timed_out", meaning: "the image could not be stored in time" },
  [-1887]: { name: "sha1_wrong", meaning: "the received bytes have another SHA-1" },
  [-1886]: { name: "file_exists", meaning: "the fileid is taken; delete it first" },
  [-199]: { name: "copy_failed", meaning: "the image could not be copied" },
  [-197]: { name: "not_found", meaning: "no such image" },
  [-190]: { name: "delete_failed", meaning: "the image could not be deleted" },
  [-177]: { name: "file_exists", meaning: "the fileid is taken; delete it first" },
  // Uploads in slices
  [-5991]: { name: "slice_too_large", meaning: "the slice is too large" },
  [-5984]: { name: "slices_sha1_wrong", meaning: "the slices do not form the announced image" },
  [-5983]: { name: "session_unknown", meaning: "no such upload session, or it is over 24 hours old" },
  [-290]: { name: "session_unknown", meaning: "no such upload session, or it is over 24 hours old" },
  [-285]: { name: "slices_too_large", meaning: "the image is too large" },
  [-284]: { name: "slice_size_differs", meaning: "the slice has another size or offset than agreed" },
  [-283]: { name: "slice_too_small", meaning: "the slice is too small" },
  // The callback
  [-5979]: { name: "callback_failed", meaning: "the image is stored, but the callback to your server failed" },
} as const satisfies Record<number, CodeRow>;

/** Codes that no service sends: -1 for bad arguments, -2 for transport failures. */
const OWN_CODES = { argument_invalid: -1, network_failed: -2, timed_out: -2, answer_unreadable: -2 } as const;

/** `service_refused` is any code that this table lacks; see the number and the message. */
export type ErrorName = (typeof CODES)[keyof typeof CODES]["name"] | keyof typeof OWN_CODES | "service_refused";

const ROWS: ReadonlyMap<number, CodeRow & { readonly name: ErrorName }> = new Map(
  Object.entries(CODES).map(([code, row]) => [Number(code), row]),
);

/** The name and the meaning of a code of the service. */
export function codeMeaning(code: number): { readonly name: ErrorName; readonly meaning: string } {
  return ROWS.get(code) ?? { name: "service_refused", meaning: `the service refused with code ${code}` };
}

export function isRefusedUnprocessed(code: number): boolean {
  return ROWS.get(code)?.isRefusedUnprocessed === true;
}

/** The code of an upload whose callback failed. The image is stored. */
export const STORED_CALLBACK_FAILED = -5979;

/** An answer in which the service refused the call. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly httpStatus: number;
  readonly requestId: string | undefined;
  /** Present if the code is callback_failed. */
  readonly uploaded?: Uploaded;
}

/**
 * Act on `name`, never on `message`. `requestId` finds the request in the service's log. An abort by the caller's own
 * signal is not a HuiyuanClientError: the call rejects with the signal's reason, as fetch does.
 */
export class HuiyuanClientError extends Error {
  declare readonly name: ErrorName;
  /** The service's code; -1 for a bad argument, -2 for a transport failure. */ readonly code: number;
  /** Undefined if there was no answer. */ readonly httpStatus: number | undefined;
  readonly requestId: string | undefined;
  /** True if the image is stored although the call failed (-5979): do not upload it again. */ readonly stored: boolean;
  /** The service's own message, often in Chinese; undefined if there was no answer. */
  readonly serviceMessage: string | undefined;
  /** The stored image, if `stored`; its `callback` says why the callback failed. */
  readonly uploaded: Uploaded | undefined;

  constructor(
    name: ErrorName,
    message: string,
    details: Partial<Omit<Refusal, "message">> & {
      readonly code: number;
      readonly serviceMessage?: string;
      readonly cause?: unknown;
    },
  ) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.name = name;
    this.code = details.code;
    this.httpStatus = details.httpStatus;
    this.requestId = details.requestId;
    this.serviceMessage = details.serviceMessage;
    this.stored = details.code === STORED_CALLBACK_FAILED;
    this.uploaded = details.uploaded;
  }
}

/** The error for a refusal of the service. */
export function refusedError({ message, ...details }: Refusal): HuiyuanClientError {
  const { name, meaning } = codeMeaning(details.code);
  return new HuiyuanClientError(name, `${meaning} (${details.code} ${message})`, {
    ...details,
    serviceMessage: message,
  });
}

/** The error for a bad argument. */
export function argumentError(message: string): HuiyuanClientError {
  return new HuiyuanClientError("argument_invalid", message, { code: OWN_CODES.argument_invalid });
}

/** The error for a failure between this program and the service. */
export function transportError(
  name: "network_failed" | "timed_out" | "answer_unreadable",
  message: string,
  details: { readonly cause?: unknown; readonly httpStatus?: number; readonly requestId?: string | undefined } = {},
): HuiyuanClientError {
  return new HuiyuanClientError(name, message, { code: OWN_CODES[name], ...details });
}

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
