"use strict";
// Draws charts from what the page carries, and does the little that HTML alone cannot. Everything works without it, too.
(() => {
  const drawn = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const time = { type: "time", axisLabel: { hideOverlap: true }, splitLine: { show: false } };

  function common() {
    const soft = colour("--soft");
    return {
      animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      animationDuration: 250,
      color: [colour("--series-1"), colour("--series-2"), colour("--series-3")],
      textStyle: { color: soft, fontFamily: "system-ui, sans-serif" },
      legend: { bottom: 2, textStyle: { color: soft }, icon: "roundRect", itemWidth: 12, itemHeight: 4 },
      grid: { left: 8, right: 12, top: 30, bottom: 30, containLabel: true },
      tooltip: { trigger: "axis", renderMode: "richText", backgroundColor: colour("--card"), borderColor: colour("--line"), textStyle: { color: colour("--ink") } },
    };
  }

  const lines = { splitLine: { lineStyle: { color: "rgba(128,128,128,.18)" } } };

  const pictures = {
    load(data, figure) {
      const at = data.columns ? data.points : [];
      return {
        ...common(),
        xAxis: time,
        yAxis: [
          { type: "value", name: "cores", min: 0, ...lines },
          { type: "value", name: "GiB", min: 0, splitLine: { show: false } },
        ],
        series: [
          { name: "cores in use", type: "line", showSymbol: at.length < 2, data: at.map((p) => [p[0], p[1]]), areaStyle: { opacity: 0.12 } },
          { name: "memory in use (GiB)", type: "line", showSymbol: at.length < 2, yAxisIndex: 1, data: at.map((p) => [p[0], p[2] === null ? null : +(p[2] / 1024).toFixed(2)]) },
        ],
      };
    },
    energy(data) {
      const bar = { type: "bar", stack: "kWh", barMaxWidth: 34 };
      return {
        ...common(),
        xAxis: { type: "category", data: data.days },
        yAxis: { type: "value", name: "kWh", ...lines },
        series: [{ name: "taken", data: data.took, ...bar }, { name: "saved by sleep", data: data.saved, ...bar, itemStyle: { decal: { symbol: "rect", dashArrayX: [1, 0], dashArrayY: [3, 3], rotation: 0.8, color: "rgba(255,255,255,.35)" } } }],
      };
    },
    cycles(data) {
      const of = (name) => data.at.map((at, n) => [at, data[name][n]]);
      return {
        ...common(),
        xAxis: time,
        yAxis: [{ type: "value", name: "deviation", min: 0, ...lines }, { type: "value", name: "count", min: 0, minInterval: 1, splitLine: { show: false } }],
        series: [
          { name: "CPU deviation", type: "line", showSymbol: false, data: of("imbalance") },
          { name: "hosts on", type: "line", step: "end", showSymbol: false, yAxisIndex: 1, data: of("hosts_on"), lineStyle: { type: "dashed" } },
          { name: "moves", type: "bar", yAxisIndex: 1, data: of("moves"), barMaxWidth: 6 },
        ],
      };
    },
  };

  function show(figure, data) {
    const points = data.points || data.days || data.at;
    if (!points.length) {
      const empty = document.createElement("p");
      empty.className = "empty";
      empty.textContent = data.trouble || "No readings yet.";
      figure.replaceChildren(empty);
      return;
    }
    const chart = echarts.init(figure, null, { renderer: "svg" });
    chart.setOption(pictures[figure.dataset.chart](data, figure));
    drawn.set(figure, { chart, data });
  }

  async function draw(figure) {
    if (figure.dataset.values) return show(figure, JSON.parse(figure.dataset.values));
    try {
      const answer = await fetch(figure.dataset.src, { headers: { Accept: "application/json" } });
      show(figure, answer.ok ? await answer.json() : { points: [], trouble: "The history cannot be read now." });
    } catch {
      show(figure, { points: [], trouble: "The history cannot be read now." });
    }
  }

  function redraw() {
    for (const [figure, { chart, data }] of drawn) chart.setOption(pictures[figure.dataset.chart](data, figure));
  }

  if (window.echarts) document.querySelectorAll("[data-chart]").forEach(draw);
  addEventListener("resize", () => drawn.forEach(({ chart }) => chart.resize()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  document.addEventListener("change", (event) => {
    const name = event.target.dataset && event.target.dataset.all;
    if (name) document.querySelectorAll(`input[name="${name}"]`).forEach((box) => { box.checked = event.target.checked; });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-checks-all]");
    if (button) document.querySelectorAll(`input[name="${button.dataset.checksAll}"]`).forEach((box) => { box.checked = true; });
  });
  for (const failed of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(failed, (event) => {
      const waits = event.detail.target && event.detail.target.querySelector(".waits");
      if (waits) waits.textContent = "The answer did not come; load the page again in a moment.";
    });
  }
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });
})();
