// One entry of the operation log (操作日志), as the calls and the mirror record it. operations/ stores and shows entries.

/** Operations with their numbers in the documented log; 2 is not documented, 5 and above are our own. */
export const OPERATION_NUMBERS = {
  ...{ upload: 1, copy: 2, query: 3, delete: 4, undelete: 5, purge: 6 },
  ...{ login: 7, logout: 8, change: 9 },
} as const;
export type OperationName = keyof typeof OPERATION_NUMBERS;
export const OPERATION_NAMES = Object.keys(OPERATION_NUMBERS) as readonly OperationName[];

export interface Operation {
  /** End of the operation, Unix milliseconds. */
  readonly at: number;
  /** `<appid>/<bucket>`; empty for logins and for changes that concern no image. */
  readonly bucketId: string;
  readonly operation: OperationName;
  /** Empty if the operation failed before its fileid was known. */
  readonly fileid: string;
  /** The requested URL without its signature. */
  readonly url: string;
  readonly client: string;
  readonly userAgent: string;
  /** Code of the answer; 0 is success. */
  readonly code: number;
  readonly message: string;
  /** Size of the image that an upload has stored, else 0. */
  readonly bytes: number;
  readonly requestId: string;
}
