// The access to a bucket: operations, token and Referer anti-leech, and the address that is given out.
import { Card } from "../../console/parts/parts.tsx";
import { textAt } from "../../console/tree.ts";
import { t } from "../words.ts";
import { ChoiceLeaf, Fields, type Form, LinesLeaf, TextLeaf, ToggleLeaf } from "../../settings/page/fields.tsx";

export function Access({ form }: { readonly form: Form }) {
  return (
    <div class="stack">
      <Card title={t("allowedOperations")}>
        <Fields>
          <ChoiceLeaf
            form={form}
            path={["access"]}
            label={t("clientsMay")}
            choices={[
              ["upload-download", "accessBoth"],
              ["download", "accessDownload"],
            ]}
          />
          <TextLeaf form={form} path={["publicDomain"]} label={t("publicDomain")} hint={t("publicDomainHint")} />
        </Fields>
      </Card>
      <Card title={t("tokenLeech")} about={t("tokenLeechAbout")}>
        <Fields>
          <ChoiceLeaf
            form={form}
            path={["token"]}
            label={t("token")}
            choices={[
              ["off", "tokenOff"],
              ["required", "tokenRequired"],
            ]}
          />
          <ChoiceLeaf
            form={form}
            path={["oneTimeDownloads"]}
            label={t("oneTime")}
            choices={[
              ["reuse", "oneTimeReuse"],
              ["once", "oneTimeOnce"],
              ["refuse", "oneTimeRefuse"],
            ]}
          />
        </Fields>
      </Card>
      <Referers form={form} />
      <Card title={t("caching")}>
        <Fields>
          <TextLeaf
            form={form}
            path={["cacheControl"]}
            label="Cache-Control"
            hint={t("cacheControlHint")}
            placeholder="public, max-age=86400"
          />
          <LinesLeaf form={form} path={["cors"]} label="CORS" hint={t("corsHint")} placeholder="*" />
        </Fields>
      </Card>
    </div>
  );
}

function Referers({ form }: { readonly form: Form }) {
  const mode = textAt(form.value("referers", "mode"), [], "off");
  return (
    <Card title={t("refererLeech")} about={t("refererLeechAbout")}>
      <Fields>
        <ChoiceLeaf
          form={form}
          path={["referers", "mode"]}
          label={t("refererMode")}
          choices={[
            ["off", "refererOff"],
            ["allow", "refererAllow"],
            ["deny", "refererDeny"],
          ]}
        />
        {mode !== "off" && (
          <>
            <LinesLeaf
              form={form}
              path={["referers", "domains"]}
              label={t("refererDomains")}
              hint={t("refererDomainsHint")}
              placeholder={"example.com\n*.example.com"}
            />
            <ToggleLeaf
              form={form}
              path={["referers", "allowEmpty"]}
              label={t("allowEmpty")}
              hint={t("allowEmptyHint")}
              standard={mode === "deny"}
            />
          </>
        )}
      </Fields>
    </Card>
  );
}
