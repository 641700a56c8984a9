"use strict";
// Draws the plots and filters the samples. Data come from a block of JSON; nothing of them is ever markup or code.
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const packed = Uint8Array.from(atob(document.getElementById("vega").textContent.trim()), (c) => c.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(unpacked).text();
  document.head.append(library);

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const named = () => ({ first: css("first"), second: css("second"), quiet: css("faint") });
  const coloured = (value, colours) => {
    if (Array.isArray(value)) return value.map((item) => coloured(item, colours));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => {
      if (key === "data" || key === "datum") return [key, inner];
      if (key === "range" && Array.isArray(inner)) return [key, inner.map((name) => colours[name] ?? name)];
      if (key === "value" && typeof inner === "string") return [key, colours[inner] ?? inner];
      return [key, coloured(inner, colours)];
    }));
  };
  const config = () => {
    const text = { labelColor: css("fg"), titleColor: css("quiet") };
    return {
      font: "system-ui, 'Noto Sans', 'Noto Sans CJK SC', sans-serif",
      background: "transparent",
      view: { stroke: null },
      axis: { ...text, grid: false, domainColor: css("faint"), tickColor: css("faint"), titleFontWeight: 400,
        labelLimit: innerWidth < 700 ? 120 : 230 },
      legend: { ...text, orient: "top", title: null, labelLimit: innerWidth < 700 ? 95 : 130, columns: innerWidth < 700 ? 2 : 3 },
      text: { color: css("fg") },
      rule: { color: css("fg") },
    };
  };
  const draw = (place, spec) => vegaEmbed(place, { autosize: { type: "fit-x", contains: "padding" }, ...coloured(spec, named()) },
    { ast: true, actions: false, renderer: "svg", logLevel: vega.Error, config: config() }).then((view) => { place.dataset.drawn = "yes"; return view; });

  const thresholds = document.getElementById("thresholds-language");
  const drawThresholds = () => {
    const grid = document.getElementById("thresholds-charts");
    grid.replaceChildren();
    return (data.thresholds[thresholds.value] ?? []).map((spec) => {
      const figure = document.createElement("figure"), title = document.createElement("h3"), place = document.createElement("div");
      figure.className = "plain";
      title.textContent = spec.usermeta.title;
      place.className = "chart";
      figure.append(title, place);
      grid.append(figure);
      return draw(place, spec);
    });
  };
  const drawAll = async () => {
    const drawn = [...document.querySelectorAll("[data-chart]")].map((place) => draw(place, data.charts[place.dataset.chart]));
    await Promise.all([...drawn, ...(thresholds ? drawThresholds() : [])]);
    document.documentElement.dataset.drawn = "yes";
  };
  if (thresholds) {
    for (const language of Object.keys(data.thresholds)) thresholds.append(new Option(language, language));
    thresholds.addEventListener("change", drawThresholds);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  const samples = [...document.querySelectorAll("#samples-list > .sample")];
  const reason = document.getElementById("samples-reason"), words = document.getElementById("samples-words");
  const more = document.getElementById("samples-more");
  let shown = 25;
  const filter = () => {
    const sought = words.value.toLowerCase();
    const wanted = samples.filter((sample) =>
      (!reason.value || sample.dataset.reason === reason.value) && (!sought || sample.textContent.toLowerCase().includes(sought)));
    const visible = new Set(wanted.slice(0, shown));
    for (const sample of samples) sample.hidden = !visible.has(sample);
    more.hidden = wanted.length <= shown;
    more.textContent = `show ${wanted.length - shown} more`;
  };
  for (const name of [...new Set(samples.map((sample) => sample.dataset.reason))]) reason.append(new Option(name, name));
  reason.addEventListener("change", () => { shown = 25; filter(); });
  words.addEventListener("input", () => { shown = 25; filter(); });
  more.addEventListener("click", () => { shown = Infinity; filter(); });
  filter();
  await drawAll();
})();
