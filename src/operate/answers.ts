// Types of the answers of the admin API, from the schemas that describe it. No code comes with them into the browser.
export type * from "./admin/openapi/answers.ts";
export type * from "./admin/openapi/console-answers.ts";
export type * from "./admin/openapi/migration-answers.ts";
export type * from "./admin/openapi/object-answers.ts";
export type * from "./admin/openapi/origin-answers.ts";
export type * from "./admin/openapi/settings-answers.ts";
