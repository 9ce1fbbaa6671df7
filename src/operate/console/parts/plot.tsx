// A plot of values over time. uPlot draws on a canvas, so pages say the values in words or a table too.
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { formatter } from "../text/format.ts";
import { t } from "../text/text.ts";

export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
  readonly color: "accent" | "good" | "warn" | "bad" | "soft";
}

export interface PlotProps {
  readonly label: string;
  /** Unix seconds. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** A value with its unit. */
  readonly format: (value: number) => string;
  /** The end of the axis; without it the highest value, and a bit. */
  readonly most?: number | undefined;
  /** Seconds up to the last value; without it all values. */
  readonly span?: number | undefined;
  readonly isByDay?: boolean;
}

const HEIGHT = 200;

export function Plot({ label, times, series, format, most, span, isByDay = false }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [[...times], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;
  const names = series.map(({ name, color }) => `${name} ${color}`).join(";");
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const draw = async () => {
      // A file of its own: the other pages are there before it.
      const { default: Drawing } = await import("uplot");
      plot.current?.destroy();
      plot.current = undefined;
      if (!element.isConnected || hasEnded) return;
      const look = { series, format, most, span, isByDay, showsPoints: isByDay && times.length < 3 };
      plot.current = new Drawing(optionsOf(element, look), data.current, element);
      showLast(plot.current);
    };
    let hasEnded = false;
    const redraw = () => void draw();
    redraw();
    const resizes = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resizes.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", redraw);
    const themes = new MutationObserver(redraw);
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      hasEnded = true;
      resizes.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", redraw);
      plot.current?.destroy();
      plot.current = undefined;
    };
    // New values go into the same plot below.
  }, [names, isByDay]);
  useLayoutEffect(() => {
    if (plot.current === undefined || document.hidden) return;
    plot.current.setData(data.current);
    showLast(plot.current);
  }, [times, series]);
  return <div class="plot" role="img" aria-label={label} ref={place} />;
}

/** The legend has the last values while no pointer asks for others. */
function showLast(plot: uPlot): void {
  const last = plot.data[0].length - 1;
  if (plot.cursor.idx == null && last >= 0) plot.setLegend({ idx: last }, false);
}

type Look = Omit<PlotProps, "label" | "times"> & { readonly isByDay: boolean; readonly showsPoints: boolean };

/** Colors and letters are those in force. */
function optionsOf(element: HTMLElement, look: Look): uPlot.Options {
  const { series, format, most, span, isByDay, showsPoints } = look;
  const style = getComputedStyle(element);
  // The value of a token has both themes; that of `color` is resolved.
  const color = (name: string) => {
    element.style.color = `var(--${name})`;
    const resolved = style.color;
    element.style.color = "";
    return resolved;
  };
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: color("soft"), font, grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
  const colors = series.map((each) => color(each.color));
  const valueText = (_plot: uPlot, value: number | null) => (value === null ? "–" : format(value));
  return {
    width: element.clientWidth,
    height: HEIGHT,
    fmtDate: () => (date: Date) => dateText(date, isByDay),
    legend: { markers: { width: 0, fill: (_plot: uPlot, index: number) => colors[index - 1] ?? "transparent" } },
    hooks: { setCursor: [showLast] },
    axes: [
      { ...axis, size: 28, grid: { show: false } },
      { ...axis, size: 66, values: (_plot: uPlot, values: readonly number[]) => marksOf(values, format) },
    ],
    // A plot of zeros has its line at the bottom.
    scales: {
      ...(span !== undefined && {
        x: { range: (_plot: uPlot, _low: number | null, high: number | null) => spanOf(span, high) },
      }),
      y: { range: (_plot: uPlot, _low: number, high: number) => [0, most ?? Math.max(high * 1.1, 1)] },
    },
    series: [
      {
        label: t(isByDay ? "day" : "time"),
        value: (_plot: uPlot, value: number | null) =>
          value === null ? "–" : dateText(new Date(value * 1_000), isByDay),
      },
      ...series.map((each, index) => ({
        label: each.name,
        stroke: colors[index],
        width: 1.5,
        fill: `color-mix(in srgb, ${colors[index]} 10%, transparent)`,
        points: { show: showsPoints },
        value: valueText,
      })),
    ],
  } as uPlot.Options;
}

/** A text that two marks would share, because of its few digits, stands once. */
function marksOf(values: readonly number[], format: (value: number) => string): readonly string[] {
  const texts = values.map(format);
  return texts.map((text, index) => (text === texts[index - 1] ? "" : text));
}

/** `high` is null before the first value. */
function spanOf(span: number, high: number | null): [number, number] {
  const end = high ?? Date.now() / 1_000;
  return [end - span, end];
}

function dateText(date: Date, isByDay: boolean): string {
  const options = isByDay
    ? ({ month: "short", day: "numeric", timeZone: "UTC" } as const)
    : ({ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const);
  return formatter(Intl.DateTimeFormat, options).format(date);
}
