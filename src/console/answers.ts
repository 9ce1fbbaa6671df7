// Types of the answers of the admin API, from the schemas that the server checks them against.
import type * as z from "zod";
import type * as answers from "../http/api/openapi/answers.ts";
import type * as migrations from "../http/api/openapi/migration-answers.ts";
import type { signAnswer, variantPage } from "../http/api/openapi/object-answers.ts";
import type { doctorEnd, doctorLine, originsAnswer } from "../http/api/openapi/origin-answers.ts";
import type * as settings from "../http/api/openapi/settings-answers.ts";

export type { Attention, LiveFigures, OverviewAnswer } from "../http/api/openapi/console-answers.ts";

export type BucketsAnswer = z.output<typeof answers.bucketsAnswer>;
export type OriginsAnswer = z.output<typeof originsAnswer>;
export type ObjectPage = z.output<typeof answers.objectPage>;
export type VariantPage = z.output<typeof variantPage>;
export type StatAnswer = z.output<typeof answers.statAnswer>;
export type MigrationList = z.output<typeof migrations.migrationList>;
export type MigrationAnswer = z.output<typeof migrations.migrationAnswer>;
export type MigrationFailures = z.output<typeof migrations.migrationFailures>;
export type Explanation = z.output<typeof answers.explanation>;
export type NoticePage = z.output<typeof answers.noticePage>;
export type NoticesChanged = z.output<typeof answers.noticesChanged>;
export type LogPage = z.output<typeof answers.logPage>;
export type UsageAnswer = z.output<typeof answers.usageAnswer>;
export type CallbackTested = z.output<typeof answers.callbackTested>;
export type SignAnswer = z.output<typeof signAnswer>;
export type DoctorLine = z.output<typeof doctorLine>;
export type DoctorEnd = z.output<typeof doctorEnd>;
export type SettingsState = z.output<typeof settings.settingsState>;
export type SettingsProposal = z.output<typeof settings.settingsProposal>;
export type SettingsApplied = z.output<typeof settings.settingsApplied>;
export type KeysChanged = z.output<typeof settings.keysChanged>;
export type ProjectKeys = z.output<typeof settings.projectKeys>;
