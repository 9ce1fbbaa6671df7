// The component sheet: each part of the console in each state, with the longest names that there may be, in the
// language of the document. The package does not have it; test/e2e/console-sheet.lab.test.ts builds and photographs it.
import { signal } from "@preact/signals";
import { type ComponentChildren, render } from "preact";
import "uplot/dist/uPlot.min.css";
import { Problem } from "../../src/operate/console/api.ts";
import { ICONS } from "../../src/operate/console/frame.ts";
import type { Loaded } from "../../src/operate/console/load.ts";
import { InputField, Select, TextField, Toggle } from "../../src/operate/console/parts/fields.tsx";
import { Icon, Mark } from "../../src/operate/console/parts/icons.tsx";
import {
  Badge,
  Button,
  Card,
  ConfirmButton,
  Copied,
  CopyButton,
  Empty,
  Figure,
  Loading,
  Page,
  ProblemNote,
  Scroll,
  Show,
  Table,
  type Tone,
} from "../../src/operate/console/parts/parts.tsx";
import { Plot, type Series } from "../../src/operate/console/parts/plot.tsx";
import { UploadDrop } from "../../src/operate/console/parts/upload.tsx";
import { Link } from "../../src/operate/console/router.tsx";
import "../../src/operate/console/style.css";
import { bytes, count } from "../../src/operate/console/text/format.ts";
import { language, t } from "../../src/operate/console/text/text.ts";

/** English and Chinese, short and without any place to break the line. */
language.value = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
const NAME = language.value === "zh" ? "图片空间" : "Photographs";
const LONG = (language.value === "zh" ? "二〇二六年秋季商品图片与活动海报" : "photographs-of-autumn-2026-").repeat(6);
const TONES: readonly Tone[] = ["good", "warn", "bad", "plain"];
const PROBLEM = new Problem(503, { message: `${NAME}: ${LONG}`, code: -902, requestId: "94983b0771dca1be-2h" });

function Sheet() {
  return (
    <main id="main">
      <Page title={NAME} about={LONG} actions={<button type="button">{NAME}</button>}>
        <States />
        <Figures />
        <Buttons />
        <Fields />
        <Rows isSteady={false} />
        <Rows isSteady />
        <Plots />
        <Card title={LONG} about={LONG} actions={<Badge tone="warn">{NAME}</Badge>}>
          <Empty title={LONG}>
            <p>{LONG}</p>
            <Link href="/absent">{NAME}</Link>
          </Empty>
        </Card>
        <UploadDrop bucket={NAME} folder={`${LONG}/`} done={() => undefined} />
      </Page>
    </main>
  );
}

function States() {
  const states: readonly (readonly [string, Loaded<string>])[] = [
    ["loading", { value: undefined, problem: undefined, isLoading: true }],
    ["failed", { value: undefined, problem: PROBLEM, isLoading: false }],
    ["right now", { value: LONG, problem: undefined, isLoading: false }],
    ["stale", { value: LONG, problem: new Problem(0), isLoading: false }],
  ];
  return (
    <div class="halves">
      {states.map(([name, state]) => (
        <Card key={name} title={`Show: ${name}`}>
          <Show of={signal(state)} reload={() => undefined}>
            {(value) => <p class="note">{value}</p>}
          </Show>
        </Card>
      ))}
      <Card title="Scroll">
        <Scroll>
          <p class="nowrap">{LONG}</p>
        </Scroll>
      </Card>
      <Card title="Loading">
        <Loading lines={3} />
      </Card>
      <Card title="ProblemNote">
        <ProblemNote problem={PROBLEM} />
      </Card>
    </div>
  );
}

function Figures() {
  return (
    <dl class="card figures">
      <Figure name={NAME} value={bytes(999_600)} hint={LONG} />
      <Figure name={NAME} value={undefined} />
      <Figure name={LONG} value={count(1_234_567_890)} hint={NAME} />
      <Figure name={NAME} value="99.98%" />
    </dl>
  );
}

function Buttons() {
  return (
    <Card title="Button, Badge, Icon, Mark">
      <div class="stack">
        <Row>
          <Button label={NAME} class="primary" run={() => undefined} />
          <Button label={NAME} run={() => undefined} />
          <Button label={NAME} disabled run={() => undefined} />
          <CopyButton text={LONG} about={NAME} />
          <ConfirmButton label={NAME} question={LONG} run={() => undefined} />
          <Button label={LONG} about={NAME} run={() => undefined} />
        </Row>
        <Copied about={NAME} text={LONG} />
        <Row>
          {TONES.map((tone) => (
            <Badge key={tone} tone={tone}>
              {NAME}
            </Badge>
          ))}
        </Row>
        <Row>
          {(Object.keys(ICONS) as (keyof typeof ICONS)[]).map((name) => (
            <span key={name} class="button">
              <Icon name={name} />
            </span>
          ))}
          <span class="brand">
            <Mark />
          </span>
        </Row>
      </div>
    </Card>
  );
}

function Row({ children }: { readonly children: ComponentChildren }) {
  return <div class="row">{children}</div>;
}

function Fields() {
  return (
    <Card title="Field">
      <div class="controls">
        <InputField label={NAME} />
        <InputField label={NAME} hint={LONG} value={LONG} set={() => undefined} />
        <InputField label={LONG} fault={LONG} type="date" />
        <Select label={NAME} options={[[LONG, LONG]]} />
        <TextField label={NAME} value={NAME} set={() => undefined} />
        <InputField label={NAME} disabled value={NAME} />
        <Toggle label={LONG} hint={LONG} value set={() => undefined} />
      </div>
    </Card>
  );
}

function Rows({ isSteady }: { readonly isSteady: boolean }) {
  return (
    <Card title={`Table${isSteady ? ": steady" : ""}`}>
      <Table t={t} head={["reason", "size", "object"]} numbers={["size"]} isSteady={isSteady}>
        {[1, 12_345, 9_876_543_210].map((value) => (
          <tr key={value}>
            <td class="long mono">{LONG}</td>
            <td class="number">{bytes(value)}</td>
            <td class="nowrap">{`${NAME} ${NAME} ${NAME} ${NAME}`}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

function Plots() {
  const times = Array.from({ length: 120 }, (_, index) => 1_790_000_000 + index);
  const wave = (size: number) => times.map((time) => size * (1 + Math.sin(time / 9)));
  const series: readonly Series[] = [
    { name: NAME, color: "accent", values: wave(4e6) },
    { name: `${NAME} 2`, color: "good", values: wave(3e6) },
    { name: `${NAME} 3`, color: "warn", values: wave(2e6) },
    { name: `${NAME} 4`, color: "bad", values: wave(1e6) },
    { name: `${NAME} 5`, color: "soft", values: times.map((_, index) => (index < 60 ? null : 0)) },
  ];
  return (
    <div class="halves">
      <Card title="Plot">
        <Plot label={NAME} times={times} series={series} format={bytes} span={300} />
      </Card>
      <Card title="Plot: empty">
        <Plot label={NAME} times={[]} series={[{ name: NAME, color: "good", values: [] }]} format={count} span={300} />
      </Card>
    </div>
  );
}

const place = document.querySelector("#console");
if (place !== null) render(<Sheet />, place);
