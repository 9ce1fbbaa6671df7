// The origins of a mirror source: their addresses, keys and request headers, and which of them stands by.
import { Field } from "../../console/parts/fields.tsx";
import { Badge } from "../../console/parts/parts.tsx";
import { listAt, textAt } from "../../console/tree.ts";
import { type TextName, t } from "../words.ts";
import { ChoiceLeaf, entriesAt, Fields, type Form, RemoveButton, SecretLeaf, TextLeaf, ToggleLeaf } from "../../settings/page/fields.tsx";
import { PRESETS } from "./tree.ts";

const NEW_ORIGINS = {
  site: { type: "site", url: "" },
  qiniu: { type: "qiniu", domain: "" },
  s3: { type: "s3", preset: "oss", bucket: "" },
} as const;
const ADD: readonly (readonly [keyof typeof NEW_ORIGINS, TextName])[] = [
  ["site", "addSite"],
  ["qiniu", "addQiniu"],
  ["s3", "addS3"],
];

export function AddOrigin({ form }: { readonly form: Form }) {
  const count = listAt(form.value("origins"), []).length;
  return (
    <>
      {ADD.map(([type, name]) => (
        <button key={type} type="button" onClick={() => form.set(["origins", count], NEW_ORIGINS[type])}>
          {t(name)}
        </button>
      ))}
    </>
  );
}

interface OriginProps {
  readonly form: Form;
  readonly mirror: Form;
  readonly place: number;
  readonly name: string;
}

const TYPES: Readonly<Record<string, TextName>> = { site: "typeSite", qiniu: "vendorQiniu", s3: "typeS3" };

export function Origin({ form, mirror, place, name }: OriginProps) {
  const type = textAt(form.value("type"), []);
  const title = t("originNumber", { number: place + 1, name: t(TYPES[type] ?? "typeSite") });
  const isRemoved = mirror.isRemoved(["origins", place]);
  return (
    <div class="stack inset">
      <div class="row apart">
        <h3>
          {title} {isRemoved && <Badge tone="bad">{t("goes")}</Badge>}
        </h3>
        <RemoveButton form={mirror} path={["origins", place]} name={name} />
      </div>
      <fieldset disabled={isRemoved}>
        <legend class="visually-hidden">{title}</legend>
        <Fields>
          {type === "site" && <SiteLeaves form={form} />}
          {type === "qiniu" && <QiniuLeaves form={form} />}
          {type === "s3" && <S3Leaves form={form} />}
          <ToggleLeaf form={form} path={["standby"]} label={t("standby")} hint={t("standbyHint")} />
          <ToggleLeaf form={form} path={["allowPrivate"]} label={t("allowPrivate")} hint={t("allowPrivateHint")} />
        </Fields>
        {type === "site" && <Headers form={form} />}
      </fieldset>
    </div>
  );
}

function SiteLeaves({ form }: { readonly form: Form }) {
  return (
    <>
      <TextLeaf
        form={form}
        path={["url"]}
        label={t("siteUrl")}
        hint={t("siteUrlHint")}
        placeholder="https://src-img.example.com"
      />
      <TextLeaf form={form} path={["host"]} label={t("hostHeader")} hint={t("hostHeaderHint")} />
      <TextLeaf
        form={form}
        path={["referer"]}
        label={t("refererHeader")}
        hint={t("refererHeaderHint")}
        placeholder="https://www.example.com/"
      />
      <TextLeaf
        form={form}
        path={["basicAuth", "username"]}
        whole={["basicAuth"]}
        label={t("basicAuthName")}
        hint={t("basicAuthHint")}
      />
      {form.value("basicAuth") !== undefined && (
        <SecretLeaf form={form} path={["basicAuth", "password"]} label={t("basicAuthPassword")} />
      )}
    </>
  );
}

/** Request headers of a web site. Their values are secrets: an Authorization is one. */
function Headers({ form }: { readonly form: Form }) {
  const names = entriesAt(form, ["headers"]).map(([name]) => name);
  const add = (event: SubmitEvent) => {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const data = new FormData(element);
    form.set(["headers", String(data.get("name")).trim()], String(data.get("value")).trim());
    element.reset();
  };
  return (
    <details open={names.length > 0}>
      <summary>{t("requestHeaders", { count: names.length })}</summary>
      <div class="stack">
        {names.map((name) => (
          <div key={name} class="row ends">
            <div class="grow">
              <SecretLeaf form={form} path={["headers", name]} label={name} />
            </div>
            {!form.isReadOnly && (
              <button
                type="button"
                class="quiet"
                aria-label={`${t("remove")}: ${name}`}
                onClick={() => form.set(["headers", name], undefined)}
              >
                {t("remove")}
              </button>
            )}
          </div>
        ))}
        {!form.isReadOnly && (
          <form class="row ends" onSubmit={add}>
            <div class="grow">
              <Field
                label={t("headerName")}
                control={(properties) => (
                  <input {...properties} name="name" required pattern="[A-Za-z0-9\-]+" placeholder="X-Site-Key" />
                )}
              />
            </div>
            <div class="grow">
              <Field
                label={t("headerValue")}
                control={(properties) => <input {...properties} name="value" required autocomplete="off" />}
              />
            </div>
            <button type="submit">{t("add")}</button>
          </form>
        )}
      </div>
    </details>
  );
}

function QiniuLeaves({ form }: { readonly form: Form }) {
  const isPrivate = form.value("private") === true;
  return (
    <>
      <TextLeaf
        form={form}
        path={["domain"]}
        label={t("qiniuHost")}
        hint={t("qiniuHostHint")}
        placeholder="http://qiniu-origin.example.com"
      />
      <ToggleLeaf form={form} path={["private"]} label={t("isPrivate")} hint={t("isPrivateHint")} />
      {isPrivate && (
        <>
          <TextLeaf form={form} path={["accessKey"]} label="AccessKey" />
          <SecretLeaf form={form} path={["secretKey"]} label="SecretKey" />
        </>
      )}
    </>
  );
}

function S3Leaves({ form }: { readonly form: Form }) {
  return (
    <>
      <ChoiceLeaf
        form={form}
        path={["preset"]}
        label={t("cloud")}
        choices={[["", "none"], ...PRESETS.map(([preset, name]) => [preset, name] as const)]}
      />
      <TextLeaf form={form} path={["bucket"]} label={t("remoteBucket")} placeholder="example-pictures" />
      <TextLeaf form={form} path={["region"]} label={t("cloudRegion")} placeholder="cn-hangzhou" />
      <TextLeaf form={form} path={["endpoint"]} label={t("serviceUrl")} hint={t("serviceUrlHint")} />
      <TextLeaf form={form} path={["accessKeyId"]} label="AccessKey" />
      <SecretLeaf form={form} path={["secretAccessKey"]} label="SecretKey" />
    </>
  );
}
