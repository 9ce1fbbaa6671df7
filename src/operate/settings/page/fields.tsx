// The fields of settings: each shows one value of the settings file by its schema, and changes it in the draft. One
// file of more than 350 lines, because a list, a mapping and a field draw each other.

import { useState } from "preact/hooks";
import type { SettingSchema } from "../../../settings/setting-schema.ts";
import { submitting } from "../../console/load.ts";
import { InputField, Select, TextField, Toggle } from "../../console/parts/fields.tsx";
import { Badge, Button } from "../../console/parts/parts.tsx";
import { language } from "../../console/text/text.ts";
import { listAt, textAt } from "../../console/tree.ts";
import { t } from "../words.ts";
import { type Form, formAt, MASK } from "./draft.ts";
import { choicesOf, kindOf, newValue, textOf, valueOfLines, valueOfText, variantOf } from "./setting-schema.ts";

interface SettingFieldsProps {
  /** A form whose schema is a mapping. */
  readonly form: Form;
  /** Left out: all, and in a long form those that are left out of the file and rarely needed are folded. */
  readonly keys?: readonly string[] | undefined;
}

/** A form with more settings than this is long. */
const LONG = 8;

/** Settings that stay in sight in a form that folds the others. */
const COMMON: ReadonlySet<string> = new Set([
  ...["type", "mirror", "origins", "rules", "freshness", "standby", "allowPrivate", "preset", "region", "private"],
  ...["accessKey", "secretKey", "accessKeyId", "secretAccessKey", "match", "action", "path"],
]);

/** The fields of a mapping: single values first, and below them its mappings and lists of mappings. */
export function SettingFields({ form, keys }: SettingFieldsProps) {
  const { properties = {}, required = [] } = variantOf(form.schema, form.value());
  const isTyped = form.schema.oneOf !== undefined;
  const all = (keys ?? Object.keys(properties)).filter((key) => key in properties && !(isTyped && key === "type"));
  const isFolded = (key: string) => !COMMON.has(key) && !required.includes(key) && form.value(key) === undefined;
  // Later changes move no field.
  const [folded] = useState(() => (keys === undefined && all.length > LONG ? all.filter(isFolded) : []));
  return (
    <>
      {isTyped && <TypeChoice form={form} />}
      <Settings form={form} keys={all.filter((key) => !folded.includes(key))} />
      {folded.length > 0 && (
        <details>
          <summary>{t("moreSettings", { names: folded.join(", ") })}</summary>
          <div class="stack">
            <Settings form={form} keys={folded} />
          </div>
        </details>
      )}
    </>
  );
}

function Settings({ form, keys }: { readonly form: Form; readonly keys: readonly string[] }) {
  const { properties = {}, required = [] } = variantOf(form.schema, form.value());
  const shown = keys.map((key) => ({ ...{ form, name: key }, schema: properties[key] ?? {} }));
  const isOuter = ({ schema }: SettingProps) => ["mapping", "typed", "mappings", "entries"].includes(kindOf(schema));
  const fields = shown.filter((each) => !isOuter(each));
  return (
    <>
      {fields.length > 0 && (
        <div class="halves">
          {fields.map((each) => (
            <Setting key={each.name} {...each} isRequired={required.includes(each.name)} />
          ))}
        </div>
      )}
      {shown.filter(isOuter).map((each) => {
        const Outer = OUTERS[kindOf(each.schema) as keyof typeof OUTERS]; // isOuter() has just said so.
        return <Outer key={each.name} {...each} isRequired={required.includes(each.name)} />;
      })}
    </>
  );
}

interface SettingProps {
  readonly form: Form;
  readonly name: string;
  readonly schema: SettingSchema;
  readonly isRequired?: boolean;
}

/** The words of a setting in the reader's language. */
function hintOf({ description, zh, needsRestart }: SettingSchema): string | undefined {
  const words = language.value === "zh" ? zh : description;
  return needsRestart ? `${words} ${t("afterRestart")}` : words;
}

function Setting({ form, name, schema, isRequired = false }: SettingProps) {
  const kind = kindOf(schema);
  const value = form.value(name);
  const field = { label: name, hint: hintOf(schema), fault: form.fault([name]), place: form.place([name]) };
  if (kind === "secret") return <Secret form={form} name={name} schema={schema} />;
  if (kind === "toggle")
    return (
      <Toggle
        {...field}
        value={(value ?? schema.default) === true}
        isDisabled={form.isReadOnly}
        set={(isOn) => form.set([name], isOn, schema.default)}
      />
    );
  if (kind === "choice") {
    const standard = schema.default === undefined ? (isRequired ? undefined : "") : String(schema.default);
    const choices = choicesOf(schema);
    const shown = textAt(value, [], standard);
    const names = [...(standard === "" ? [""] : []), ...choices.map(String)];
    return (
      <Select
        {...field}
        options={(names.includes(shown) ? names : [...names, shown]).map((each) => [
          each,
          each === "" ? t("isLeftOut") : each === standard ? t("isDefault", { value: each }) : each,
        ])}
        value={shown}
        disabled={form.isReadOnly}
        set={(chosen) =>
          form.set(
            [name],
            choices.find((each) => String(each) === chosen),
            schema.default,
          )
        }
      />
    );
  }
  const more = { readOnly: form.isReadOnly, placeholder: textOf(schema.default), class: "mono" };
  const text = textOf(value) ?? "";
  if (kind === "text")
    return (
      <TextField {...field} value={text} set={(typed) => form.set([name], valueOfText(schema, typed))} more={more} />
    );
  return (
    <InputField
      {...field}
      {...more}
      rows={Math.max(2, text.split("\n").length + (text === "" ? 0 : 1))}
      value={text}
      set={(typed) => form.set([name], valueOfLines(schema, typed))}
    />
  );
}

/** A secret that stands in the file is not shown, and stays if nothing is typed. */
function Secret({ form, name, schema }: SettingProps) {
  const value = textAt(form.value(name), []);
  const isHidden = value === MASK;
  const isReference = /^(?:env|file):/.test(value);
  return (
    <TextField
      label={name}
      hint={[hintOf(schema), isHidden ? t("secretKept") : t("secretHint")].filter(Boolean).join(" ")}
      fault={form.fault([name])}
      place={form.place([name])}
      value={isHidden ? "" : value}
      set={(text) => (text === "" ? form.reset([name]) : form.set([name], text))}
      more={{
        ...{ class: isReference ? "mono" : "mono secret", spellcheck: false, readOnly: form.isReadOnly },
        placeholder: isHidden ? "••••••••" : "",
      }}
    />
  );
}

/** A mapping. One without a default can be left out as a whole. */
function Mapping({ form, name, schema, isRequired = false }: SettingProps) {
  const inner = formAt(form, [name], schema);
  const isThere = form.value(name) !== undefined;
  const canGo = !isRequired && schema.default === undefined;
  return (
    <fieldset class="stack" data-path={form.place([name])}>
      <legend>{name}</legend>
      <p class="hint">{hintOf(schema)}</p>
      {!isThere && <Fault form={form} name={name} />}
      {(isThere || !canGo) && <SettingFields key={textAt(inner.value("type"), [])} form={inner} />}
      {canGo && !form.isReadOnly && (
        <div>
          {isThere ? (
            <Button label={t("removeNamed", { name })} class="quiet" run={() => form.set([name], undefined)} />
          ) : (
            <Button
              label={t("addNamed", { name })}
              run={() => (form.saved(name) === undefined ? form.set([name], newValue(schema)) : form.reset([name]))}
            />
          )}
        </div>
      )}
    </fieldset>
  );
}

/** Chooses among the types of a mapping. Its settings as another type are dropped; those of the file come back. */
function TypeChoice({ form }: { readonly form: Form }) {
  const variants = form.schema.oneOf ?? [];
  const types = variants.map(({ properties }) => String(properties?.type?.const));
  const current = variantOf(form.schema, form.value());
  return (
    <Select
      label="type"
      hint={hintOf(current.properties?.type ?? {})}
      fault={form.fault(["type"])}
      place={form.place(["type"])}
      options={types.map((type) => [type, type])}
      value={String(current.properties?.type?.const)}
      disabled={form.isReadOnly}
      set={(type) =>
        textAt(form.saved("type"), []) === type
          ? form.reset([])
          : form.set([], newValue(variants[types.indexOf(type)] ?? {}))
      }
    />
  );
}

/** A list of mappings, each of which can be changed, moved and removed. */
function Mappings({ form, name, schema }: SettingProps) {
  const items = listAt(form.value(name), []);
  const item = schema.items ?? {};
  return (
    <fieldset class="stack" data-path={form.place([name])}>
      <legend>{name}</legend>
      <p class="hint">{hintOf(schema)}</p>
      {items.length === 0 && <Fault form={form} name={name} />}
      {items.map((value, position) => (
        <Item
          key={position}
          {...{ form, name, position, value }}
          schema={item}
          isLast={position === items.length - 1}
        />
      ))}
      {!form.isReadOnly && (
        <div>
          <Button label={t("addNamed", { name })} run={() => form.set([name, items.length], newValue(item))} />
        </div>
      )}
    </fieldset>
  );
}

interface ItemProps extends SettingProps {
  readonly position: number;
  readonly value: unknown;
  readonly isLast: boolean;
}

/** The settings that name an item of a list for people. */
const NAMES = ["host", "appid", "name", "url", "domain", "bucket", "secretId", "match"];

function Item({ form, name, schema, position, value, isLast }: ItemProps) {
  const path = [name, position];
  const title = `${name} ${position + 1}`;
  const own = NAMES.map((key) => Object(value)[key] as unknown).find((each) => each !== undefined && each !== "");
  const shown = typeof own === "object" ? Object.values(Object(own)).join(" ") : String(own ?? "");
  const isRemoved = form.isRemoved(path);
  const { review } = form;
  const move = (label: "moveUp" | "moveDown", to: number) => (
    <Button
      label={t(label)}
      class="quiet"
      disabled={review === undefined || to < 0 || (to > position && isLast)}
      title={review === undefined ? t("moveAfterSaving") : undefined}
      about={title}
      run={() => review?.({ edit: { path, to } })}
    />
  );
  return (
    <div class="stack inset" data-path={form.place(path)}>
      <div class="row apart">
        <h3>
          {title} {shown !== "" && <span class="mono">{shown}</span>}{" "}
          {isRemoved && <Badge tone="bad">{t("goes")}</Badge>}
        </h3>
        {!form.isReadOnly && (
          <div class="row">
            {move("moveUp", position - 1)}
            {move("moveDown", position + 1)}
            <Button
              label={t(isRemoved ? "keep" : "remove")}
              class="quiet"
              about={shown === "" ? title : shown}
              run={() => form.remove(path)}
            />
          </div>
        )}
      </div>
      {isRemoved && name === "domains" && <p class="note warn">{t("domainGoes", { host: shown })}</p>}
      <fieldset class="stack" disabled={isRemoved}>
        <legend class="visually-hidden">{title}</legend>
        <SettingFields key={textAt(value, ["type"])} form={formAt(form, path, schema)} />
      </fieldset>
    </div>
  );
}

interface EntriesProps extends SettingProps {
  /** An example of a name, and one of a value. */
  readonly examples?: readonly [name: string, value: string];
  /** Gets the value that is typed, or whose field has the focus. */
  readonly onValue?: (value: string) => void;
}

/** A mapping of names to texts; the values may be secrets. */
export function Entries({ form, name, schema, examples = ["", ""], onValue }: EntriesProps) {
  const entries = Object.entries(Object(form.value(name)));
  const values: SettingSchema = Object(schema.additionalProperties);
  const inner = formAt(form, [name], schema);
  const add = submitting((data, element) => {
    form.set([name, String(data.get("name")).trim()], String(data.get("value")).trim());
    element.reset();
  });
  const typed = onValue && (({ target }: InputEvent) => onValue((target as HTMLInputElement).value));
  return (
    <fieldset class="stack" data-path={form.place([name])}>
      <legend>{name}</legend>
      <p class="hint">{hintOf(schema)}</p>
      <Fault form={form} name={name} />
      {entries.map(([each, value]) => (
        <div key={each} class="row ends" onFocusCapture={() => onValue?.(String(value))} onInput={typed}>
          <div class="grow">
            {values.secret ? (
              <Secret form={inner} name={each} schema={values} />
            ) : (
              <TextField
                {...{ label: each, fault: inner.fault([each]), place: inner.place([each]), value: String(value) }}
                set={(text) => (text === "" ? inner.reset([each]) : inner.set([each], text))}
                more={{ class: "mono", readOnly: form.isReadOnly }}
              />
            )}
          </div>
          {!form.isReadOnly && (
            <Button label={t("remove")} class="quiet" about={each} run={() => inner.set([each], undefined)} />
          )}
        </div>
      ))}
      {!form.isReadOnly && (
        <form class="row ends" onSubmit={add}>
          <div class="grow">
            <InputField label={t("entryName")} name="name" class="mono" required placeholder={examples[0]} />
          </div>
          <div class="grow" onInput={typed}>
            <InputField
              label={t("value")}
              {...{ name: "value", class: "mono", required: true, autocomplete: "off", placeholder: examples[1] }}
            />
          </div>
          <button type="submit">{t("add")}</button>
        </form>
      )}
    </fieldset>
  );
}

/** The fault of a mapping or list that has no field of its own. */
function Fault({ form, name }: Pick<SettingProps, "form" | "name">) {
  const fault = form.fault([name]);
  return fault === undefined ? null : (
    <p class="fault" role="alert">
      {fault}
    </p>
  );
}

const OUTERS = { mapping: Mapping, typed: Mapping, mappings: Mappings, entries: Entries };
