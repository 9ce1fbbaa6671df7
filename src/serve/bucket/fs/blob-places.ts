// The one rule for the names of blobs. A column of a catalogue may have anything, and paths are made of it.
const BLOB_NAME = /^[0-9a-f]{64}$/;

/** Whether the value is a SHA-256 in lower-case hex. */
export const isBlobName = (value: unknown): value is string => typeof value === "string" && BLOB_NAME.test(value);
