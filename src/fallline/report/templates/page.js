"use strict";
(() => {
  const panels = JSON.parse(document.getElementById("panels").textContent);
  const family = getComputedStyle(document.body).fontFamily;
  const coarse = matchMedia("(pointer: coarse)").matches;
  const axis = { automargin: true, zeroline: false, ticks: "", title: { standoff: 8, font: { size: 13 } }, nticks: 8 };
  const template = {
    layout: {
      font: { family, size: 12.5 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 8, r: 12, t: 10, b: 40 },
      showlegend: false,
      hovermode: "closest",
      dragmode: coarse ? false : "zoom",
      xaxis: axis,
      yaxis: axis,
      annotationdefaults: { font: { size: 12 } },
    },
  };
  const config = {
    responsive: true,
    displayModeBar: false,
  };
  // Only pictures with buttons hide rules; with many rules the page starts with the best ones shown.
  const buttons = [...document.querySelectorAll("button[data-rule]")];
  const hidden = new Set(
    buttons.filter((each) => each.getAttribute("aria-pressed") === "false").map((each) => each.dataset.rule),
  );

  const restyle = (plot) => {
    if (!plot.closest("figure").querySelector("button[data-rule]")) return;
    const visible = plot.data.map((trace) => !hidden.has(trace.meta));
    Plotly.restyle(plot, { visible });
  };
  const draw = (plot) => {
    if (plot.data) return;
    const { traces, layout } = panels[Number(plot.dataset.panel)];
    Plotly.newPlot(plot, traces, { ...layout, template }, config);
    if (hidden.size) restyle(plot);
  };

  // Drawn when they come near, so that a page of a hundred panels opens at once; all of them for paper.
  const plots = [...document.querySelectorAll(".plot")];
  const near = new IntersectionObserver(
    (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
    { rootMargin: "800px" },
  );
  plots.forEach((plot) => near.observe(plot));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details.print").forEach((each) => (each.open = true));
    plots.forEach((plot) => {
      draw(plot);
      Plotly.relayout(plot, { width: Math.min(plot.clientWidth, plot.parentElement.classList.contains("wide") ? 680 : 320) });
    });
  });
  addEventListener("afterprint", () => plots.forEach((plot) => Plotly.relayout(plot, { width: null, autosize: true })));

  // The buttons of a rule go together, whichever picture they stand above.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-rule]");
    if (!button) return;
    const { rule } = button.dataset;
    hidden.has(rule) ? hidden.delete(rule) : hidden.add(rule);
    buttons.forEach((each) => {
      if (each.dataset.rule === rule) each.setAttribute("aria-pressed", String(!hidden.has(rule)));
    });
    plots.filter((plot) => plot.data).forEach(restyle);
  });

  document.querySelectorAll("button[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.querySelector("pre").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  });
})();
