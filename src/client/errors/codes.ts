// The one table of the REST API's codes as a program meets them: number → name to act on, and what it means in English.
// What the server says beside a number (often in Chinese) is the error's message; this is what it can be told from.

/** `isRefusedUnprocessed`: the service turned the request away untouched because it was busy, so asking again is safe. */
interface CodeRow {
  readonly name: string;
  readonly meaning: string;
  readonly isRefusedUnprocessed?: true;
}

const CODES = {
  // The request
  [-5999]: { name: "path_invalid", meaning: "the appid, bucket or fileid cannot stand in a path" },
  [-5997]: { name: "origin_failed", meaning: "the origin that has the image did not give it" },
  [-5996]: { name: "method_refused", meaning: "no such HTTP method here" },
  [-5995]: { name: "size_refused", meaning: "the image is empty or too large" },
  [-5994]: { name: "operation_unknown", meaning: "no such operation" },
  [-5993]: { name: "form_broken", meaning: "the multipart form cannot be read" },
  [-5992]: { name: "form_value_invalid", meaning: "a value of the form is not valid" },
  [-5990]: { name: "file_part_missing", meaning: "the form has no file" },
  [-5989]: { name: "service_failed", meaning: "the service failed to do it" },
  [-75]: { name: "operation_unsupported", meaning: "the bucket is for downloads only" },
  [-71]: { name: "too_frequent", meaning: "too many requests; ask again later", isRefusedUnprocessed: true },
  [-2000]: { name: "overloaded", meaning: "the service is busy or stopping; ask again", isRefusedUnprocessed: true },
  // The signature
  [-5998]: { name: "signature_malformed", meaning: "the signature cannot be read" },
  [-97]: { name: "signature_wrong", meaning: "the signature was made with another secret, or for too long a life" },
  [-96]: { name: "signature_expired", meaning: "the signature has expired" },
  [-82]: { name: "appid_unknown", meaning: "no such project" },
  [-81]: { name: "signature_missing", meaning: "a signature is required" },
  [-79]: { name: "secret_id_unknown", meaning: "the SecretID is not one of the project's, or is disabled" },
  [-77]: { name: "signature_spent", meaning: "the one-time signature has been used" },
  [-76]: { name: "signature_unbound", meaning: "a one-time signature must name a file" },
  [-74]: { name: "signature_one_time", meaning: "a multi-use signature is required" },
  [-73]: { name: "signature_multi_use", meaning: "a one-time signature is required" },
  [-72]: { name: "signature_failed", meaning: "the signature could not be checked" },
  [-70]: { name: "signature_scope", meaning: "the signature is for another project, bucket or file" },
  [-64]: { name: "project_disabled", meaning: "the project is disabled" },
  // The image
  [-1898]: { name: "md5_wrong", meaning: "the bytes that arrived have another MD5" },
  [-1894]: { name: "bucket_unknown", meaning: "no such bucket" },
  [-1893]: { name: "not_an_image", meaning: "the file is no image that can be decoded" },
  [-1889]: { name: "store_timed_out", meaning: "the image could not be stored in time" },
  [-1887]: { name: "sha1_wrong", meaning: "the bytes that arrived have another SHA-1" },
  [-1886]: { name: "file_exists", meaning: "the fileid is taken; delete it first" },
  [-199]: { name: "copy_failed", meaning: "the image could not be copied" },
  [-197]: { name: "not_found", meaning: "no such image" },
  [-190]: { name: "delete_failed", meaning: "the image could not be deleted" },
  [-177]: { name: "file_exists", meaning: "the fileid is taken; delete it first" },
  // Uploads in slices
  [-5991]: { name: "slice_too_large", meaning: "the slice is too large" },
  [-5984]: { name: "slices_sha1_wrong", meaning: "the slices do not make up the announced image" },
  [-5983]: { name: "session_unknown", meaning: "no such upload under way, or it is over 24 hours old" },
  [-290]: { name: "session_unknown", meaning: "no such upload under way, or it is over 24 hours old" },
  [-285]: { name: "slices_too_large", meaning: "the image is too large" },
  [-284]: { name: "slice_size_differs", meaning: "the slice has another size or place than agreed" },
  [-283]: { name: "slice_too_small", meaning: "the slice is too small" },
  // The callback
  [-5979]: { name: "callback_failed", meaning: "the image is stored, but your server did not take note of it" },
} as const satisfies Record<number, CodeRow>;

/** Never sent by a service: -1 what the caller gave, -2 what happened on the way. */
const OWN_CODES = { argument_invalid: -1, network_failed: -2, timed_out: -2, answer_unreadable: -2 } as const;

/** `service_refused`: a code that this table does not know; the number and the message say which. */
export type ErrorName = (typeof CODES)[keyof typeof CODES]["name"] | keyof typeof OWN_CODES | "service_refused";

const ROWS: ReadonlyMap<number, CodeRow & { readonly name: ErrorName }> = new Map(
  Object.entries(CODES).map(([code, row]) => [Number(code), row]),
);

/** What a code of the service means. */
export function codeMeaning(code: number): { readonly name: ErrorName; readonly meaning: string } {
  return ROWS.get(code) ?? { name: "service_refused", meaning: `the service refused with code ${code}` };
}

export function ownCode(name: keyof typeof OWN_CODES): number {
  return OWN_CODES[name];
}

export function isRefusedUnprocessed(code: number): boolean {
  return ROWS.get(code)?.isRefusedUnprocessed === true;
}

/** The code of an upload whose image is stored all the same. */
export const STORED_CALLBACK_FAILED = -5979;
