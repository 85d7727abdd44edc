/**
 * `<takings-chart>`: draws the data block it contains (see `takings/web/chart.py`) on a canvas.
 *
 * Colours come from CSS variables and follow the theme; numbers, money and dates from the page's locale. A click on a
 * point first dispatches `takings:point` (cancelable, detail `{index, series, href}`), then follows the point's link.
 * The legend is HTML: each name is a button that hides and shows its series.
 */
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use, type EChartsType } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { drawing as optionOf, drawn, type Chart } from "../drawing/chart";

use([BarChart, LineChart, GridComponent, TooltipComponent, CanvasRenderer]);

class Formats {
  private readonly full: Intl.NumberFormat;
  private readonly short: Intl.NumberFormat;

  constructor(private readonly chart: Chart) {
    const money: Intl.NumberFormatOptions =
      chart.unit === "money" && chart.currency ? { style: "currency", currency: chart.currency } : {};
    const percent: Intl.NumberFormatOptions = chart.unit === "percent" ? { style: "percent" } : {};
    const kind = { ...money, ...percent };
    const digits = chart.unit === "percent" ? 1 : chart.digits;
    this.full = new Intl.NumberFormat(chart.locale, {
      ...kind,
      minimumFractionDigits: chart.unit === "money" ? digits : 0,
      maximumFractionDigits: chart.unit === "number" ? 2 : digits,
    });
    this.short = new Intl.NumberFormat(chart.locale, {
      ...kind,
      notation: chart.unit === "percent" ? "standard" : "compact",
      minimumFractionDigits: 0,
      maximumFractionDigits: 1,
    });
  }

  value(value: number | null | undefined): string {
    return value === null || value === undefined ? "–" : plain(this.full.format(value));
  }

  axis(value: number): string {
    return plain(this.short.format(value));
  }

  point(index: number, long: boolean): string {
    const name = this.chart.names[index];
    if (long && name) return name;
    const point = this.chart.points[index] ?? "";
    if (this.chart.grain === "category") return point;
    const day = new Date(`${point}T00:00:00Z`);
    const write = (options: Intl.DateTimeFormatOptions) =>
      plain(new Intl.DateTimeFormat(this.chart.locale, { timeZone: "UTC", ...options }).format(day));
    switch (this.chart.grain) {
      case "year":
        return write({ year: "numeric" });
      case "quarter": {
        const quarter = Math.floor(day.getUTCMonth() / 3) + 1;
        return `${this.chart.locale.startsWith("fr") ? "T" : "Q"}${quarter} ${day.getUTCFullYear()}`;
      }
      case "month":
        return write(long ? { month: "long", year: "numeric" } : { month: "short", year: "2-digit" });
      default:
        return write(long ? { weekday: "short", day: "numeric", month: "long", year: "numeric" } : { day: "numeric", month: "short" });
    }
  }
}

/** The font of the canvas need not have narrow no-break spaces. */
function plain(text: string): string {
  return text.replaceAll("\u202f", "\u00a0");
}

class TakingsChart extends HTMLElement {
  private drawing: EChartsType | null = null;
  private chart: Chart | null = null;
  private canvas: HTMLDivElement | null = null;
  private readonly probe = document.createElement("span");
  private readonly hidden_ = new Set<number>();
  private readonly resized = new ResizeObserver(() => this.drawing?.resize());
  private readonly dark = matchMedia("(prefers-color-scheme: dark)");
  private readonly redraw = () => this.draw();

  connectedCallback(): void {
    const block = this.querySelector("script[type='application/json']");
    if (!block?.textContent || this.drawing) return;
    this.chart = JSON.parse(block.textContent) as Chart;
    if (this.chart.series.length > 1) this.append(this.legend(this.chart));
    this.canvas = document.createElement("div");
    this.canvas.className = "chart-canvas";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", this.getAttribute("aria-label") ?? "");
    this.append(this.canvas, this.probe);
    this.drawing = init(this.canvas, null, { renderer: "canvas" });
    this.drawing.getZr().on("click", (event) => this.follow(event.offsetX, event.offsetY));
    this.drawing.getZr().on("mousemove", (event) => {
      const at = this.indexAt(event.offsetX, event.offsetY);
      this.drawing?.getZr().setCursorStyle(at !== null && this.target(at) ? "pointer" : "default");
    });
    this.dark.addEventListener("change", this.redraw);
    matchMedia("print").addEventListener("change", this.redraw);
    this.resized.observe(this.canvas);
    this.draw();
    this.setAttribute("data-drawn", "");
    void document.fonts?.ready.then(this.redraw);
  }

  disconnectedCallback(): void {
    this.resized.disconnect();
    this.dark.removeEventListener("change", this.redraw);
    this.drawing?.dispose();
    this.drawing = null;
  }

  private legend(chart: Chart): HTMLElement {
    const list = document.createElement("ul");
    list.className = "chart-legend";
    chart.series.forEach((series, index) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const swatch = document.createElement("span");
      swatch.className = `chart-swatch tone-${series.tone}${series.dashed ? " swatch-dashed" : ""}`;
      button.append(swatch, series.name);
      button.addEventListener("click", () => {
        const hide = !this.hidden_.has(index);
        if (hide) this.hidden_.add(index);
        else this.hidden_.delete(index);
        button.setAttribute("aria-pressed", String(!hide));
        this.draw();
      });
      item.append(button);
      list.append(item);
    });
    return list;
  }

  private indexAt(x: number, y: number): number | null {
    if (!this.drawing || !this.chart || !this.drawing.containPixel("grid", [x, y])) return null;
    const at = this.drawing.convertFromPixel({ seriesIndex: 0 }, [x, y]) as unknown as number[];
    const index = Math.round(at[0] ?? -1);
    return index >= 0 && index < this.chart.points.length ? index : null;
  }

  private target(index: number): { series: number; href: string } | null {
    const series = this.chart?.series ?? [];
    for (let s = 0; s < series.length; s += 1) {
      const href = series[s]?.hrefs[index];
      if (href && !this.hidden_.has(s)) return { series: s, href };
    }
    return null;
  }

  private follow(x: number, y: number): void {
    const index = this.indexAt(x, y);
    const target = index === null ? null : this.target(index);
    if (index === null || !target) return;
    const event = new CustomEvent("takings:point", { bubbles: true, cancelable: true, detail: { index, ...target } });
    if (this.dispatchEvent(event)) window.location.assign(target.href);
  }

  /** What a colour variable is under the present theme, as a canvas can take it. */
  private colour(name: string): string {
    this.probe.style.color = `var(${name})`;
    return getComputedStyle(this.probe).color;
  }

  private draw(): void {
    const { chart, drawing } = this;
    if (!chart || !drawing) return;
    const formats = new Formats(chart);
    const font = getComputedStyle(this).fontFamily;
    const paint = { colour: (name: string) => this.colour(name), font };
    const writing = { axis: (value: number) => formats.axis(value), point: (index: number) => formats.point(index, false) };
    drawing.setOption(
      {
        ...optionOf(chart, writing, paint, this.hidden_),
        tooltip: {
          trigger: "axis",
          renderMode: "richText",
          confine: true,
          backgroundColor: this.colour("--tip"),
          borderColor: this.colour("--tip"),
          padding: [9, 12],
          textStyle: { color: this.colour("--tip-text"), fontFamily: font, fontSize: 13, lineHeight: 20 },
          axisPointer: {
            type: chart.series.some((series) => series.shape === "bar") ? "shadow" : "line",
            shadowStyle: { color: this.colour("--hover") },
            lineStyle: { color: this.colour("--line-strong") },
          },
          formatter: (items: { dataIndex: number }[]) => this.tip(items[0]?.dataIndex ?? 0, formats),
        },
      },
      { notMerge: true },
    );
  }

  private tip(index: number, formats: Formats): string {
    const lines = [formats.point(index, true)];
    this.chart?.series.forEach((series, place) => {
      if (!this.hidden_.has(place)) lines.push(`${series.name}: ${formats.value(drawn(this.chart as Chart, series.values[index] ?? null))}`);
    });
    return lines.join("\n");
  }
}

if (!customElements.get("takings-chart")) customElements.define("takings-chart", TakingsChart);
