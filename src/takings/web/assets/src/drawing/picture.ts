/**
 * Draws a chart as SVG on the server, in an engine that has neither a page nor `Intl`: what it writes comes from outside.
 *
 * The colours are those of the page, read from the same file of tokens.
 */
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, LegendComponent, TitleComponent } from "echarts/components";
import { init, use } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";
import tokens from "../styles/tokens.css?raw";
import { drawing, type Chart } from "./chart";

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);

interface Picture {
  chart: Chart;
  title: string;
  about: string;
  width: number;
  height: number;
  font: string;
  dark: boolean;
  points: string[];
}

const SIDE = 20;

function colours(dark: boolean): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name, light, night] of tokens.matchAll(/(--[a-z-]+): light-dark\(([^,]+), ([^)]+)\)/g)) {
    if (name && light && night) found.set(name, dark ? night : light);
  }
  return found;
}

/** Return the SVG of a picture; `axis` writes a value of the axis. */
function draw(picture: Picture, axis: (value: number) => string): string {
  const { chart, width, height, font } = picture;
  const named = colours(picture.dark);
  const colour = (name: string) => named.get(name) ?? "#000";
  const paint = { colour, font };
  const writing = { axis, point: (index: number) => picture.points[index] ?? "" };
  const board = init(null, null, { renderer: "svg", ssr: true, width, height });
  const legend = chart.series.length > 1;
  board.setOption({
    ...drawing(chart, writing, paint),
    backgroundColor: colour("--surface"),
    title: {
      text: picture.title,
      subtext: picture.about,
      left: SIDE - 5,
      top: 10,
      itemGap: 6,
      textStyle: { fontFamily: font, fontSize: 18, fontWeight: 600, color: colour("--text"), width: width - 2 * SIDE, overflow: "truncate" },
      subtextStyle: { fontFamily: font, fontSize: 13, color: colour("--text-soft"), width: width - 2 * SIDE, overflow: "truncate" },
    },
    legend: {
      show: legend,
      left: SIDE - 5,
      top: 68,
      width: width - 2 * SIDE,
      icon: "roundRect",
      itemWidth: 12,
      itemHeight: 12,
      itemGap: 22,
      textStyle: { fontFamily: font, fontSize: 13, color: colour("--text") },
    },
    grid: { left: SIDE, right: SIDE, top: legend ? 104 : 80, bottom: SIDE, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
  });
  const svg = board.renderToSVGString();
  board.dispose();
  return svg;
}

(globalThis as unknown as { takingsDraw: typeof draw }).takingsDraw = draw;
