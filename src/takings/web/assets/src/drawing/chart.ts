/** What a chart is made of and how it is drawn: the same for the page's canvas and for the pictures that the server makes. */
import type { EChartsCoreOption } from "echarts/core";

export interface Series {
  name: string;
  values: (number | null)[];
  tone: string;
  shape: "bar" | "line" | "area";
  dashed: boolean;
  stack: string | null;
  hrefs: (string | null)[];
}

export interface Chart {
  locale: string;
  grain: "day" | "week" | "month" | "quarter" | "year" | "category";
  points: string[];
  names: string[];
  unit: "money" | "number" | "percent";
  currency: string | null;
  digits: number;
  series: Series[];
}

/** How values and points are written. */
export interface Writing {
  axis(value: number): string;
  point(index: number): string;
}

/** Colours by the names of `tokens.css`, and the font. */
export interface Paint {
  colour(name: string): string;
  font: string;
}

/** What is drawn of a value: money in major units. */
export function drawn(chart: Chart, value: number | null): number | null {
  return value === null ? null : value / 10 ** chart.digits;
}

/** The option of ECharts that draws a chart, without those of its series that are hidden. */
export function drawing(chart: Chart, writing: Writing, paint: Paint, hidden: ReadonlySet<number> = new Set()): EChartsCoreOption {
  const text = paint.colour("--text-soft");
  const shown = chart.series.map((series, index) => ({ series, index })).filter(({ index }) => !hidden.has(index));
  const stackEnds = new Map<string, number>();
  shown.forEach(({ series, index }) => series.stack && series.shape === "bar" && stackEnds.set(series.stack, index));
  return {
    animation: false,
    textStyle: { fontFamily: paint.font, color: text },
    grid: { left: 4, right: 12, top: 14, bottom: 2, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    xAxis: {
      type: "category",
      data: chart.points.map((_, index) => index),
      axisLine: { lineStyle: { color: paint.colour("--line-strong") } },
      axisTick: { show: false },
      axisLabel: {
        color: text,
        fontSize: 12,
        hideOverlap: true,
        formatter: (value: string) => writing.point(Number(value)),
      },
      axisPointer: { label: { show: false } },
    },
    yAxis: {
      type: "value",
      splitNumber: 4,
      minInterval: chart.unit === "number" || (chart.unit === "money" && chart.digits === 0) ? 1 : 0,
      axisLabel: { color: text, fontSize: 12, formatter: (value: number) => writing.axis(value) },
      splitLine: { lineStyle: { color: paint.colour("--line") } },
    },
    series: shown.map(({ series, index }) => {
      const colour = paint.colour(`--chart-${series.tone}`);
      const common = {
        id: String(index),
        name: series.name,
        data: series.values.map((value) => drawn(chart, value)),
        ...(series.stack ? { stack: series.stack, stackStrategy: "samesign" as const } : {}),
        emphasis: { disabled: true },
        cursor: "inherit",
      };
      if (series.shape === "bar") {
        const end = series.stack === null || stackEnds.get(series.stack) === index;
        return {
          ...common,
          type: "bar",
          barMaxWidth: 36,
          barCategoryGap: "28%",
          itemStyle: {
            color: colour,
            opacity: series.dashed ? 0.4 : 1,
            borderRadius: end ? [3, 3, 0, 0] : 0,
            ...(series.dashed ? { borderColor: colour, borderType: "dashed" } : {}),
          },
        };
      }
      return {
        ...common,
        type: "line",
        showSymbol: chart.points.length === 1,
        symbol: "circle",
        symbolSize: 7,
        connectNulls: false,
        z: series.dashed ? 2 : 3,
        lineStyle: { color: colour, width: series.dashed ? 1.5 : 2.25, type: series.dashed ? "dashed" : "solid" },
        itemStyle: { color: colour },
        ...(series.shape === "area" ? { areaStyle: { color: colour, opacity: 0.14 } } : {}),
      };
    }),
  };
}
