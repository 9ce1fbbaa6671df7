// The rules of a mirror source: exceptions by path. It has the common settings of a rule; the others are named, and
// changed in the file.
import { Badge } from "../../console/parts/parts.tsx";
import { listAt, textAt } from "../../console/tree.ts";
import { t } from "../words.ts";
import { ChoiceLeaf, Fields, type Form, formAt, OtherSettings, RemoveButton, TextLeaf } from "../../settings/page/fields.tsx";

export function Rules({ form }: { readonly form: Form }) {
  const rules = listAt(form.value("rules"), []);
  return (
    <details open={rules.length > 0}>
      <summary>{t("rules", { count: rules.length })}</summary>
      <div class="stack">
        <p class="hint">{t("rulesAbout")}</p>
        {rules.map((_, place) => (
          <Rule key={place} form={formAt(form, ["rules", place])} mirror={form} place={place} />
        ))}
        {!form.isReadOnly && (
          <div>
            <button type="button" onClick={() => form.set(["rules", rules.length], { match: {} })}>
              {t("addRule")}
            </button>
          </div>
        )}
      </div>
    </details>
  );
}

interface RuleProps {
  readonly form: Form;
  readonly mirror: Form;
  readonly place: number;
}

/** The settings that have fields here, by the mapping that holds them. */
const SHOWN = {
  "": ["match", "action", "path", "redirectTo", "fallbackKey", "fallbackStatus"],
  match: ["prefix", "suffix", "pattern"],
  path: ["strip", "add", "template"],
};

function Rule({ form, mirror, place }: RuleProps) {
  const title = t("ruleNumber", { number: place + 1 });
  const isRemoved = mirror.isRemoved(["rules", place]);
  const action = textAt(form.value("action"), [], "mirror");
  const isRedirect = action === "redirect" || action === "async";
  return (
    <div class="stack inset">
      <div class="row apart">
        <h3>
          {title} {isRemoved && <Badge tone="bad">{t("goes")}</Badge>}
        </h3>
        <RemoveButton form={mirror} path={["rules", place]} name={title} />
      </div>
      <fieldset class="stack" disabled={isRemoved}>
        <legend class="visually-hidden">{title}</legend>
        <Fields>
          <TextLeaf
            form={form}
            path={["match", "prefix"]}
            label={t("matchPrefix")}
            hint={t("matchHint")}
            placeholder="2015/"
          />
          <TextLeaf form={form} path={["match", "suffix"]} label={t("matchSuffix")} placeholder=".jpg" />
          <TextLeaf
            form={form}
            path={["match", "pattern"]}
            label={t("matchPattern")}
            hint={t("matchPatternHint")}
            placeholder="*/avatar/*"
          />
          <ChoiceLeaf
            form={form}
            path={["action"]}
            label={t("ruleAction")}
            choices={[
              ["mirror", "actionMirror"],
              ["async", "actionAsync"],
              ["redirect", "actionRedirect"],
              ["none", "actionNone"],
            ]}
          />
          {isRedirect && (
            <TextLeaf
              form={form}
              path={["redirectTo"]}
              label={t("redirectTo")}
              hint={t("redirectToHint")}
              placeholder="https://www.example.com"
            />
          )}
          {action !== "none" && <OriginPath form={form} />}
          {action === "mirror" && <Fallback form={form} />}
        </Fields>
        <OtherSettings form={form} shown={SHOWN} />
      </fieldset>
    </div>
  );
}

function OriginPath({ form }: { readonly form: Form }) {
  return (
    <>
      <TextLeaf
        form={form}
        path={["path", "strip"]}
        label={t("pathStrip")}
        hint={t("pathStripHint")}
        placeholder="2015/"
      />
      <TextLeaf form={form} path={["path", "add"]} label={t("pathAdd")} placeholder="old/" />
      <TextLeaf
        form={form}
        path={["path", "template"]}
        label={t("pathTemplate")}
        hint={t("pathTemplateHint", { key: "{key}" })}
        placeholder="get.php?file={key}"
      />
    </>
  );
}

function Fallback({ form }: { readonly form: Form }) {
  return (
    <>
      <TextLeaf
        form={form}
        path={["fallbackKey"]}
        label={t("fallbackKey")}
        hint={t("fallbackKeyHint")}
        placeholder="avatar.png"
      />
      {form.value("fallbackKey") !== undefined && (
        <ChoiceLeaf
          form={form}
          path={["fallbackStatus"]}
          label={t("fallbackStatus")}
          choices={[
            [404, "status404"],
            [200, "status200"],
          ]}
        />
      )}
    </>
  );
}
