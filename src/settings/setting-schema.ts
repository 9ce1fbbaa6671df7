// The type of the described schema, apart from what makes it: the console has it too.
import type { Quantity } from "./schema/quantities.ts";

/** A single value of the file. */
export type Scalar = string | number | boolean;

/** JSON Schema of a setting, and what a person should know of it. */
export interface SettingSchema {
  readonly type?: string;
  readonly enum?: readonly Scalar[];
  readonly const?: Scalar;
  readonly default?: unknown;
  readonly anyOf?: readonly SettingSchema[];
  /** Mappings of several types, told apart by their key `type`. */
  readonly oneOf?: readonly SettingSchema[];
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly required?: readonly string[];
  readonly items?: SettingSchema;
  readonly additionalProperties?: SettingSchema | boolean;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxItems?: number;
  /** The English words. */
  readonly description?: string;
  zh?: string;
  /** A change waits for a restart. */
  needsRestart?: true;
  readonly quantity?: Quantity;
  readonly secret?: true;
}
