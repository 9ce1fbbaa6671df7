// Types of the answers of the admin API, from the schemas that describe it. No code comes with them into the browser.
export type * from "../http/api/openapi/answers.ts";
export type * from "../http/api/openapi/console-answers.ts";
export type * from "../http/api/openapi/migration-answers.ts";
export type * from "../http/api/openapi/object-answers.ts";
export type * from "../http/api/openapi/origin-answers.ts";
export type * from "../http/api/openapi/settings-answers.ts";
