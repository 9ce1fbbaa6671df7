// Types of the answers of the admin API, from the schemas that describe it. No code comes with them into the browser.
export type * from "../admin/api/openapi/answers.ts";
export type * from "../admin/api/openapi/console-answers.ts";
export type * from "../admin/api/openapi/migration-answers.ts";
export type * from "../admin/api/openapi/object-answers.ts";
export type * from "../admin/api/openapi/origin-answers.ts";
export type * from "../admin/api/openapi/settings-answers.ts";
