// The live page: asks once a second for what is new, appends it to the report's plots, and sends what is turned.
"use strict";

const BASE = document.body.dataset.base;
const EVERY = 1000; // ms
const LIGHTER = { "#0072B2": "#56B4E9", "#D55E00": "#F28E2B", "#009E73": "#2BC59B" }; // at least 4.5:1 on a dark page
const MOST_POINTS = 2400; // of a trace; then the shorter history that the server keeps is asked for
const MOST_ROWS = 60;

const byId = (id) => document.getElementById(id);
const plots = [...document.querySelectorAll(".plot")];
const form = byId("controls");
const colours = {};
const drawn = new Map(); // figures by title: what Plotly shows
let epoch = null;
let next = 0;
let current = { controls: {}, marks: [], second: 0 };
let measuring = null; // what was said last of the run that measures properly
let failing = 0;
let preset = null; // the button of the one whose values stand in the form
let awaited = null; // the preset that was started, until what there is to see is true
let sending = 0;
let sent = 0; // an answer that was asked for before the last one was sent tells of controls that are out of date

// --- how a figure of the report looks here ------------------------------------------------------

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const projected = () => document.body.classList.contains("projector");

function layout(plot, figure) {
  const large = plot.closest("figure").className === "large";
  const far = projected(); // read from the last row
  const axis = { gridcolor: ink("--grid"), linecolor: ink("--line"), zerolinecolor: ink("--line"), fixedrange: true };
  const shown = figure.layout;
  return {
    ...shown,
    template: undefined,
    autosize: true,
    height: undefined,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { size: far ? 24 : large ? 14 : 12, color: ink("--ink"), family: "inherit" },
    margin: far ? { l: 72, r: 140, t: 34, b: 60 } : { l: large ? 48 : 40, r: 78, t: large ? 22 : 6, b: large ? 40 : 22 },
    showlegend: false, // names stand at the lines' ends, the dashes in the caption
    hoverlabel: { bgcolor: ink("--raised"), font: { color: ink("--ink") } },
    xaxis: { ...shown.xaxis, ...axis, title: large ? { text: "seconds of load", standoff: 4, font: { size: far ? 20 : 12 } } : undefined, range: span() },
    yaxis: { ...shown.yaxis, ...axis, range: reach(figure, shown.yaxis.type === "log"), title: undefined, ticksuffix: " ", nticks: large ? undefined : 4, dtick: shown.yaxis.type === "log" ? 1 : undefined },
    shapes: current.marks.map(([second]) => line(second)),
    annotations: [...ends(plot, figure, shown.yaxis.type === "log", large), ...(large ? marks(plot) : [])],
  };
}

function span() {
  const seconds = Number(byId("span").value);
  const end = Math.max(current.second, 60);
  return [seconds ? Math.max(0, end - seconds) : 0, end];
}

function line(second) {
  return { type: "line", x0: second, x1: second, yref: "paper", y0: 0, y1: 1, line: { color: ink("--quiet"), width: 1, dash: "dash" } };
}

// What was changed, in words above its line, as far as there is room; the newest first. Hovered, all of it.
function marks(plot) {
  const [from, to] = span();
  const size = projected() ? 20 : 12; // px
  const pixels = (seconds) => (seconds / (to - from)) * Math.max(60, plot.clientWidth - 110);
  const shown = [];
  let left = to;
  for (const [second, text] of [...current.marks].reverse()) {
    if (second < from) break;
    const letters = Math.floor(pixels(left - second) / (size * 0.55)) - 1;
    left = second;
    if (letters < 1) continue;
    const words = text.length > letters ? `${text.slice(0, Math.max(1, letters - 1))}…` : text;
    shown.push({
      x: second, y: 1, yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false, text: escaped(words), hovertext: escaped(text),
      font: { size, color: ink("--quiet") },
    });
  }
  return shown;
}

// Both ends of the y axis: what was drawn since the last change fits, whatever the lines did before it.
function reach(figure, logarithmic) {
  const changed = current.marks.length ? current.marks[current.marks.length - 1][0] : 0;
  const since = Math.max(span()[0], Math.min(changed + 1, current.second - 2));
  const seen = figure.data.flatMap((trace) => trace.y.filter((y, index) => trace.x[index] > since && y > 0));
  const highest = Math.max(...seen, logarithmic ? 2 : 0.001);
  return logarithmic ? [Math.log10(Math.min(...seen, 1)) - 0.05, Math.log10(highest) + 0.15] : [0, highest * 1.12];
}

// Each target's name and its last value at the right end of its line; of response times p50 and p95.
function ends(plot, figure, logarithmic, large) {
  const found = [];
  for (const trace of figure.data) {
    const words = (trace.name || "").split(" ");
    const percentile = /^p\d+$/.test(words[words.length - 1]) && large ? words[words.length - 1] : "";
    const name = `${words[0]} ${percentile}`.trim();
    if (trace.line.dash === "dot" || percentile === "p99" || found.some((one) => one.name === name)) continue;
    const value = trace.y[trace.y.length - 1];
    if (value === null || value === undefined) continue;
    found.push({ name, value, y: logarithmic ? Math.log10(Math.max(value, 1e-9)) : value, colour: trace.line.color });
  }
  const [low, high] = reach(figure, logarithmic);
  const height = Math.max(60, plot.clientHeight - 60); // px between the axis's ends
  const apart = projected() ? 58 : large ? 34 : 17; // px
  found.sort((a, b) => b.y - a.y);
  let free = 0; // px from the top, where the next label may be
  for (const one of found) {
    const place = ((high - one.y) / (high - low)) * height;
    one.shift = place - Math.max(place, free);
    free = Math.max(place, free) + apart;
  }
  const beyond = Math.max(0, free - apart - height); // px that the lowest labels are pushed below the axis
  return found.map((one) => ({
    xref: "paper", x: 1, xanchor: "left", y: one.y, yanchor: "middle", showarrow: false, align: "left", xshift: 4,
    yshift: one.shift + (one.shift || beyond ? beyond : 0),
    text: `<b>${escaped(one.name)}</b>${large ? "<br>" : " "}${digits(one.value)}`,
    font: { size: projected() ? 24 : large ? 13 : 11, color: projected() ? shade(one.colour) : ink("--ink") },
    bordercolor: shade(one.colour), borderwidth: 0, bgcolor: ink("--paper"),
  }));
}

// A line's colour, lighter on a dark page.
function shade(colour) {
  return (document.documentElement.dataset.theme === "dark" && LIGHTER[colour]) || colour;
}

function digits(value) {
  if (value >= 99.5) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return value.toFixed(Number.isInteger(value) ? 0 : value >= 9.95 ? 1 : 2);
}

// Plotly reads a few tags in its texts.
function escaped(text) {
  return text.replace(/[&<>]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[letter]);
}

function draw() {
  byId("marks").textContent = current.marks.map(([second, text]) => `${Math.round(second)} s: ${text}`).join("; ");
  for (const plot of plots) {
    const figure = drawn.get(plot.dataset.title);
    if (!figure) continue;
    figure.revision = (figure.revision || 0) + 1;
    const shown = { ...layout(plot, figure), datarevision: figure.revision };
    const width = (line) => (projected() ? (line.width >= 3 ? 5 : 3) : line.width);
    const traces = figure.data.map((trace) => ({ ...trace, line: { ...trace.line, color: shade(trace.line.color), width: width(trace.line) } }));
    Plotly.react(plot, traces, shown, { responsive: true, displayModeBar: false });
  }
}

// --- what is new --------------------------------------------------------------------------------

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
  };
  const answer = await fetch(`${BASE}/${path}`, options);
  const said = await answer.json();
  return { ok: answer.ok, ...said };
}

async function whole() {
  const said = await ask("figures");
  drawn.clear();
  for (const [title, figure] of Object.entries(said.figures)) drawn.set(title, figure);
  byId("rows").replaceChildren();
  epoch = said.epoch;
  return said;
}

function append(points) {
  for (const [title, traces] of Object.entries(points)) {
    const figure = drawn.get(title);
    traces.forEach(([x, y], index) => {
      figure.data[index].x.push(...x);
      figure.data[index].y.push(...y);
    });
  }
}

function take(said, before) {
  current = said;
  next = said.next ?? next;
  for (const row of said.rows || []) addRow(row);
  tell(said);
  properly(said.proper);
  if (!sending && before === sent) {
    follow(said.controls);
    reveal(said);
  }
  if (!document.hidden) draw();
}

async function poll() {
  try {
    const before = sent;
    const longest = Math.max(0, ...[...drawn.values()].map((figure) => figure.data[0].x.length));
    if (epoch === null || longest > MOST_POINTS) {
      take(await whole(), before);
    } else if (!document.hidden) {
      const said = await ask(`data?epoch=${epoch}&since=${next}`);
      if (said.stale) take(await whole(), before);
      else {
        append(said.points);
        take(said, before);
      }
    }
    if (failing) message("");
    failing = 0;
  } catch (error) {
    failing += 1;
    if (failing === 3) message("Locust does not answer: what is shown stands still.", true);
  }
  setTimeout(poll, EVERY);
}

// --- what is true now ---------------------------------------------------------------------------

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function tell(said) {
  const sentence = byId("sentence");
  if (said.clauses.length) {
    const all = element("span", "", "clauses");
    said.clauses.forEach(([name, text], index) => {
      if (index) all.append(element("span", " · ", "apart"));
      const part = element("span", "", "clause");
      part.style.setProperty("--colour", colours[name]);
      part.append(element("b", name), ` ${text}`);
      all.append(part);
    });
    sentence.replaceChildren(element("span", `${said.users}: `, "users"), all);
  } else if (sentence.textContent !== said.sentence) sentence.textContent = said.sentence;
  const doubts = byId("reservations");
  const already = [...doubts.children].map((one) => one.textContent).join("\n");
  if (already !== said.reservations.join("\n")) doubts.replaceChildren(...said.reservations.map((text) => element("li", text)));
  byId("state").classList.toggle("running", said.running);
  byId("state-text").textContent = said.running ? "running" : said.second ? "stopped" : "ready";
  const seconds = Math.floor(said.second);
  byId("clock").textContent = seconds ? `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}` : "";
  const measured = Boolean(said.proper && said.proper.running);
  byId("start").disabled = said.running || measured;
  byId("stop").disabled = !said.running && !measured;
  byId("measure").disabled = measured;
}

// The run that measures properly: how far it is, then its verdict and its report.
function properly(run) {
  const said = run ? `${run.running}${run.said}` : "";
  const news = said !== measuring && !(measuring === null && run && !run.running); // a run of before this page is none
  measuring = said;
  if (!run || !news) return;
  message(run.running ? `Measuring, one target at a time: ${run.said}` : run.said);
  if (run.report) links(run);
}

// A preset's sentence waits until the figures show what it says.
function reveal(said) {
  if (!awaited || !said.true.includes(awaited.experiment)) return;
  message(awaited.see);
  awaited = null;
}

function addRow(cells) {
  const row = document.createElement("tr");
  cells.forEach((cell, index) => {
    const made = element(index ? "td" : "th", cell);
    if (!index) made.scope = "row";
    row.append(made);
  });
  byId("rows").prepend(row);
  while (byId("rows").children.length > MOST_ROWS) byId("rows").lastChild.remove();
}

// --- the controls -------------------------------------------------------------------------------

function values() {
  const found = { targets: [...form.querySelectorAll("[name=targets]:checked")].map((one) => one.value) };
  for (const field of form.querySelectorAll("input[type=number], input[type=hidden], select")) found[field.name] = field.value;
  return found;
}

// What another page or Locust's own has turned is shown, except where somebody is typing.
function follow(controls) {
  for (const field of form.querySelectorAll("input[type=number], select")) {
    if (field === document.activeElement || field.getAttribute("aria-invalid")) continue;
    if (String(controls[field.name]) !== field.value && Number(controls[field.name]) !== Number(field.value || NaN)) {
      field.value = controls[field.name];
    }
  }
  if (form.contains(document.activeElement) && document.activeElement.name === "targets") return;
  for (const box of form.querySelectorAll("[name=targets]")) box.checked = controls.targets.includes(box.value);
}

function message(text, bad = false) {
  byId("message").className = bad ? "bad" : "";
  byId("message").textContent = text;
}

async function send(path, body, words) {
  sending += 1;
  awaited = null;
  for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  try {
    const said = await ask(path, body);
    if (!said.ok) form.querySelector(`[name="${CSS.escape(said.field || "")}"]`)?.setAttribute("aria-invalid", "true");
    message(said.ok ? words || said.message : said.message, !said.ok);
    return said;
  } catch (error) {
    message("Locust does not answer.", true);
    return { ok: false };
  } finally {
    sending -= 1;
    sent += 1;
  }
}

async function start() {
  const started = preset && preset.dataset;
  const said = await send("start", values(), started ? form.dataset.wait : form.dataset.see);
  if (said.ok) awaited = started;
}

form.addEventListener("change", () => {
  pressed(null);
  send("knobs", values());
});
form.addEventListener("submit", (event) => event.preventDefault());
byId("start").addEventListener("click", start);
byId("stop").addEventListener("click", () => send("stop", {}));
byId("reset").addEventListener("click", async () => {
  if ((await send("reset", {})).ok) epoch = null;
});
byId("save").addEventListener("click", async () => {
  byId("save").disabled = true;
  const said = await send("save", {});
  byId("save").disabled = false;
  if (said.ok) links(said);
});
byId("measure").addEventListener("click", async () => {
  byId("measure").disabled = true; // until the next answer says whether a run goes on
  await send("measure", {});
});

function links(to) {
  for (const [text, path] of [["Open the report", to.report], ["Download everything", to.download]]) {
    const link = element("a", text);
    link.href = `${BASE.replace(/compare$/, "")}${path}`;
    if (path === to.report) link.target = "_blank";
    byId("message").append(link);
  }
}

function pressed(button) {
  preset = button;
  for (const one of form.querySelectorAll(".preset")) one.setAttribute("aria-pressed", String(one === button));
}

for (const button of form.querySelectorAll(".preset")) {
  button.addEventListener("click", () => {
    const knobs = { jitter: 0, latency_p99: 0, correlated: 0, fail: 0, work: 0, ...JSON.parse(button.dataset.knobs) };
    for (const [name, value] of Object.entries(knobs)) form.elements[name].value = value;
    pressed(button);
    start();
  });
}

// --- light and dark -----------------------------------------------------------------------------

function theme(name) {
  document.documentElement.dataset.theme = name;
  draw();
}

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const chosen = () => localStorage.getItem("theme");
prefersDark.addEventListener("change", () => chosen() || theme(prefersDark.matches ? "dark" : "light"));
byId("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  theme(chosen());
});
byId("span").addEventListener("change", draw);

// --- for a room ---------------------------------------------------------------------------------

function project() {
  document.body.classList.toggle("projector");
  byId("projector").setAttribute("aria-pressed", String(projected()));
  draw();
  for (const plot of plots) if (plot.data) Plotly.Plots.resize(plot);
}

byId("projector").addEventListener("click", project);
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey;
  if (!typing && event.key.toLowerCase() === "p") project();
});
document.addEventListener("visibilitychange", () => document.hidden || draw());

for (const one of document.querySelectorAll("[data-colour]")) {
  one.style.setProperty("--colour", one.dataset.colour);
  colours[one.textContent] = one.dataset.colour;
}
theme(chosen() || (prefersDark.matches ? "dark" : "light"));
pressed(null);
poll();
