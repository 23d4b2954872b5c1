"use strict";

const { tables, facts, curves } = JSON.parse(document.getElementById("content").textContent);
const MAIN_FACTS = ["seed", "status", "last_accuracy", "best_accuracy", "teacher_accuracy", "steps", "seconds", "finished", "reason",
  "warnings"];
const dialog = document.querySelector("dialog");

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const fact = (name, run) => facts[name].values[facts[name].codes[run]];
const address = (...parts) => "#" + parts.map(encodeURIComponent).join("/");
const different = (values) => [...new Set(values)].filter((value) => value !== "");

/** A number comes before a text, and a larger number first; a missing value comes last. */
function order(first, second, descending) {
  const [a, b] = [parseFloat(first), parseFloat(second)];
  if (isNaN(a) && isNaN(b)) return first.localeCompare(second) * (descending ? -1 : 1);
  if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b);
  return descending ? b - a : a - b;
}

function showTable(table) {
  const section = make("section", { id: table.subject });
  const grids = make("div");
  const filter = make("input", { type: "search", placeholder: "Filter methods" });
  filter.setAttribute("aria-label", "Filter methods");
  const views = make("select", {}, ...Object.keys(table.views).map((name) => make("option", {}, name)));
  views.setAttribute("aria-label", "What the cells show");
  const hide = () => grids.querySelectorAll("tbody tr").forEach((line) => {
    line.hidden = !line.cells[0].textContent.toLowerCase().includes(filter.value.trim().toLowerCase());
  });
  const show = () => { grids.replaceChildren(...showView(table, table.views[views.value])); hide(); };
  filter.oninput = hide;
  views.onchange = show;
  show();
  section.append(make("h2", {}, table.subject), make("div", { className: "controls" }, views, filter), grids);
  section.append(...table.pictures.map(showPicture));
  return section;
}

function showView(table, { header, lines, captions }) {
  const body = make("tbody", {}, ...lines.map((line) => showLine(table, line)));
  const head = make("tr", {}, ...header.map((name) => make("th", { scope: "col" }, make("button", {}, name))));
  [...head.cells].forEach((cell, column) => { cell.firstChild.onclick = () => sort(body, head, column); });
  const grid = make("table", {}, make("thead", {}, head), body);
  const texts = captions.map((caption) => make("p", {}, caption));
  return [make("div", { className: "wide" }, grid), make("div", { className: "captions" }, ...texts)];
}

function showLine(table, [row, ...texts]) {
  const cells = texts.map((text, column) => {
    const fraction = table.fractions[column];
    if (!table.runs[row][column]?.length) return make("td", {}, text);
    const className = text.includes("*") ? "better" : text.includes("†") ? "worse" : "";
    return make("td", { className }, make("a", { href: address(table.subject, row, fraction) }, text));
  });
  return make("tr", {}, make("th", { scope: "row" }, row), ...cells);
}

function sort(body, head, column) {
  const before = head.cells[column].ariaSort;
  const descending = before ? before === "ascending" : column > 0;
  for (const cell of head.cells) cell.ariaSort = null;
  head.cells[column].ariaSort = descending ? "descending" : "ascending";
  const text = (line) => line.cells[column].textContent;
  body.append(...[...body.rows].sort((a, b) => order(text(a), text(b), descending)));
}

/** Draws the picture when it comes near the screen: a page of many tables opens at once. */
function showPicture(specification) {
  const place = make("div", { className: "picture" });
  new IntersectionObserver((entries, observer) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    observer.disconnect();
    draw(place, { ...specification, background: "transparent" });
  }, { rootMargin: "400px" }).observe(place);
  return place;
}

function draw(place, specification) {
  vegaEmbed(place, specification, { mode: "vega-lite", renderer: "svg", config: { mark: { tooltip: true } },
    actions: { export: true, source: false, compiled: false, editor: false } })
    .catch((error) => place.replaceChildren(`This picture cannot be drawn: ${error.message}`));
}

function showCell(table, row, fraction, runs) {
  document.getElementById("cell").textContent = `${row}, ${100 * fraction} % of the training images (${table.subject})`;
  const picture = make("div", { className: "picture" });
  dialog.lastChild.replaceChildren(make("div", { className: "wide" }, runTable(runs)), picture, allFacts(runs));
  if (!dialog.open) dialog.showModal();
  const points = runs.flatMap((run) => curves[run].map(([epoch, accuracy]) => ({ epoch, accuracy, seed: fact("seed", run) })));
  if (points.length) draw(picture, curvesOf(points)); else picture.replaceChildren("No learning curve is recorded.");
}

function runTable(runs) {
  const shown = MAIN_FACTS.filter((name) => different(runs.map((run) => fact(name, run))).length);
  const lines = runs.map((run) => make("tr", {}, ...shown.map((name) => make("td", {}, fact(name, run)))));
  const head = make("tr", {}, ...shown.map((name) => make("th", { scope: "col" }, name.replaceAll("_", " "))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...lines));
}

/** Every fact and hyper-parameter of the runs; values in which they differ are listed once each. */
function allFacts(runs) {
  const list = make("dl");
  for (const name of Object.keys(facts)) {
    const values = different(runs.map((run) => fact(name, run)));
    if (values.length) list.append(make("dt", {}, name), make("dd", {}, values.join(" · ")));
  }
  return make("details", {}, make("summary", {}, "Config, revision, folders and all other facts"), list);
}

function curvesOf(values) {
  const y = { field: "accuracy", type: "quantitative", title: "test accuracy, %", scale: { zero: false } };
  const encoding = { x: { field: "epoch", type: "quantitative" }, y, color: { field: "seed", type: "nominal" },
    tooltip: ["seed", "epoch", "accuracy"].map((field) => ({ field })) };
  return { width: "container", height: 200, background: "transparent", data: { values }, mark: { type: "line", point: { size: 15 } }, encoding };
}

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

/** The address after # names a cell: a link to it can be sent to others. */
function followAddress() {
  const [subject, row, fraction] = location.hash.slice(1).split("/").map(decoded);
  const table = tables.find((one) => one.subject === subject);
  const runs = table?.runs[row]?.[table.fractions.indexOf(Number(fraction))];
  if (runs?.length) showCell(table, row, fraction, runs); else if (dialog.open) dialog.close();
}

dialog.onclose = () => history.replaceState(null, "", location.pathname + location.search);
dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
document.querySelector("main").append(...tables.map(showTable));
document.querySelector("nav").append(...tables.map(({ subject }) => make("a", { href: address(subject) }, subject)));
window.onhashchange = followAddress;
followAddress();
