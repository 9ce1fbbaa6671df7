// A plot of values over time. uPlot draws on a canvas, so pages say the values in words or a table too.
import { useLayoutEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { locale } from "../text/text.ts";

export interface Series {
  readonly name: string;
  readonly values: readonly (number | null)[];
  readonly color: "accent" | "good" | "warn" | "bad" | "soft";
}

interface PlotProps {
  readonly label: string;
  /** Unix seconds. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  /** A value with its unit. */
  readonly format: (value: number) => string;
  readonly height?: number;
  readonly isByDay?: boolean;
}

export function Plot({ label, times, series, format, height = 220, isByDay = false }: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [[...times], ...series.map(({ values }) => [...values])] as uPlot.AlignedData;
  const names = series.map(({ name, color }) => `${name} ${color}`).join(";");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // Before the browser paints, so that nothing below jumps.
  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const style = getComputedStyle(element);
    const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const axis = { stroke: color("soft"), grid: { stroke: color("line"), width: 1 }, ticks: { show: false } };
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        {
          width: element.clientWidth,
          height,
          fmtDate: () => (date) => dateText(date, isByDay),
          axes: [axis, { ...axis, size: 72, values: (_plot, values) => values.map((value) => format(value)) }],
          series: [
            { value: (_plot, value) => (value === null ? "–" : dateText(new Date(value * 1_000), isByDay)) },
            ...series.map((each) => ({
              label: each.name,
              stroke: color(each.color),
              width: 2,
              fill: `color-mix(in srgb, ${color(each.color)} 10%, transparent)`,
              points: { show: times.length < 3 },
              value: (_plot: uPlot, value: number | null) => (value === null ? "–" : format(value)),
            })),
          ],
        } as uPlot.Options,
        data.current,
        element,
      );
    };
    draw();
    const resizes = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    resizes.observe(element);
    dark.addEventListener("change", draw);
    const themes = new MutationObserver(draw);
    themes.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      resizes.disconnect();
      themes.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = undefined;
    };
    // New values go into the same plot below.
  }, [names, height, isByDay]);
  useLayoutEffect(() => {
    plot.current?.setData(data.current);
  }, [times, series]);
  return <div class="plot" role="img" aria-label={label} ref={place} />;
}

function dateText(date: Date, isByDay: boolean): string {
  const options = isByDay
    ? ({ month: "short", day: "numeric", timeZone: "UTC" } as const)
    : ({ hour: "2-digit", minute: "2-digit", second: "2-digit" } as const);
  return new Intl.DateTimeFormat(locale(), options).format(date);
}
