"use strict";
// The map of units: a canvas per stage, a square per unit. It follows script.js.

const { stages, estimators, videos, every } = data.atlas;
const map = document.getElementById("map");
const [LARGEST, SMALLEST, AREA] = [20, 3, 420];
let maps = [];
let size = LARGEST;
let drawn = 0; // the width for which the map was drawn
let picked = null; // { stage, place }: its place among the sorted units

const shown = () => estimators.find((one) => one.name === chosen()) || estimators[0];

function sorted(stage) {
  const { values, class: classes } = stage;
  const first = values.length ? values[0][0] : [];
  const rank = (i) => 1000 * (classes ? classes[i] ?? 99 : 0) + (first[i] ?? -500);
  const order = [...(classes || first).keys()];
  const keys = order.map(rank);
  return order.sort((a, b) => keys[a] - keys[b]);
}

function legend() {
  const list = document.getElementById("classes");
  list.replaceChildren();
  const colours = shown().classes.map(({ name, colour }) => {
    const swatch = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const square = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    swatch.classList.add("series");
    swatch.style.setProperty("--hue", colour);
    square.classList.add("bar");
    square.setAttribute("width", "100%");
    square.setAttribute("height", "100%");
    swatch.append(square);
    list.append(made("li", "", swatch, name));
    return getComputedStyle(square).fill;
  });
  return colours;
}

const canvases = stages.map((stage, i) => {
  const canvas = made("canvas", "");
  canvas.setAttribute("aria-hidden", "true");
  canvas.addEventListener("pointermove", (event) => point(i, event, false));
  canvas.addEventListener("pointerleave", () => tell(picked));
  canvas.addEventListener("click", (event) => point(i, event, true));
  map.append(made("section", "", made("h3", `${stage.name}, ${stage.units.length} units`), canvas));
  return canvas;
});

function layOut() {
  maps = shown().stages.map((own, i) => {
    canvases[i].parentElement.hidden = !own;
    if (!own) return null;
    own.order = own.order || sorted(own); // sorted once
    return { canvas: canvases[i], order: own.order };
  });
  draw();
}

function draw() {
  const estimator = shown();
  const colours = legend();
  const width = map.clientWidth;
  drawn = width;
  const total = stages.reduce((sum, stage) => sum + stage.units.length, 0);
  size = Math.max(SMALLEST, Math.min(LARGEST, Math.floor(Math.sqrt((width * AREA) / total))));
  const columns = Math.max(1, Math.floor(width / size));
  const sharp = window.devicePixelRatio || 1;
  maps.forEach((one, i) => {
    if (!one) return;
    const { canvas, order } = one;
    const height = Math.ceil(order.length / columns) * size;
    one.columns = columns;
    canvas.width = width * sharp;
    canvas.height = height * sharp;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(sharp, sharp);
    const { class: classes, values } = estimator.stages[i];
    const gap = size > 4 ? 1 : 0.5;
    const plain = getComputedStyle(map).color;
    let filled = null; // units are sorted by class, and a colour takes longer to read than a square to fill
    order.forEach((unit, place) => {
      const colour = (classes && colours[classes[unit]]) || plain;
      if (colour !== filled) pen.fillStyle = filled = colour;
      if (!classes) pen.globalAlpha = Math.min(1, Math.max(0.08, (values[0][0][unit] ?? 0) / 100));
      pen.fillRect((place % columns) * size, Math.floor(place / columns) * size, size - gap, size - gap);
    });
  });
  mark();
}

function mark() {
  all(".marked", map).forEach((element) => element.remove());
  if (!picked || !maps[picked.stage]) return;
  const { canvas, columns } = maps[picked.stage];
  const frame = made("span", "");
  frame.className = "marked";
  frame.style.left = `${canvas.offsetLeft + (picked.place % columns) * size}px`;
  frame.style.top = `${canvas.offsetTop + Math.floor(picked.place / columns) * size}px`;
  frame.style.width = frame.style.height = `${size}px`;
  map.append(frame);
}

function point(stage, event, pick) {
  const { order, columns } = maps[stage];
  const place = Math.floor(event.offsetY / size) * columns + Math.floor(event.offsetX / size);
  if (place < 0 || place >= order.length || event.offsetX >= columns * size) return;
  if (pick) choose({ stage, place });
  else tell({ stage, place });
}

function choose(where) {
  picked = where;
  const unit = stages[where.stage].units[maps[where.stage].order[where.place]];
  document.getElementById("stage").value = where.stage;
  document.getElementById("unit-number").value = unit;
  mark();
  tell(where);
  document.getElementById("said").textContent = document.getElementById("unit").innerText;
}

const fixed = (whole) => (whole === null || whole === undefined ? "–" : (whole / 100).toFixed(2));

function tell(where) {
  const panel = document.getElementById("unit");
  if (!where || !maps[where.stage]) return;
  const i = maps[where.stage].order[where.place];
  const stage = stages[where.stage];
  const rows = estimators.flatMap((estimator) => {
    const own = estimator.stages[where.stage];
    if (!own) return [];
    const found = estimator.columns.map((name, k) => {
      const [value, low, high] = own.values[k].map((column) => fixed(column && column[i]));
      return made("tr", "", made("td", name), made("td", `${value} [${low}, ${high}]`));
    });
    const head = made("th", estimator.title);
    head.colSpan = 2;
    if (own.class) {
      const kind = estimator.classes[own.class[i]];
      found.push(made("tr", "", made("td", "class"), made("td", kind ? kind.name : "–")));
      const stable = own.stability && own.stability[i] !== null ? `${own.stability[i]} % of resamples` : "–";
      found.push(made("tr", "", made("td", "stability"), made("td", stable)));
    }
    return [made("tr", "", head), ...found];
  });
  panel.replaceChildren(made("h3", `${stage.name}, unit ${stage.units[i]}`), made("table", "", made("tbody", "", ...rows)));
  if (stage.clips && stage.clips[i].length) {
    const clips = stage.clips[i].map((video) => made("li", videos[video]));
    panel.append(made("p", "Clips to which it responds most"), made("ol", "", ...clips));
  }
}

function move(event) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: (maps.find(Boolean) || {}).columns, ArrowUp: -(maps.find(Boolean) || {}).columns };
  const there = maps.map((one, i) => (one ? i : -1)).filter((i) => i >= 0);
  let { stage, place } = picked && maps[picked.stage] ? picked : { stage: there[0], place: 0 };
  if (event.key === "Home") place = 0;
  else if (event.key === "End") place = maps[stage].order.length - 1;
  else if (event.key in steps) place += picked ? steps[event.key] : 0;
  else return;
  event.preventDefault();
  const last = maps[stage].order.length - 1;
  const next = there[there.indexOf(stage) + Math.sign(place - last)];
  const before = there[there.indexOf(stage) - 1];
  if (place > last) [stage, place] = next === undefined ? [stage, last] : [next, 0];
  else if (place < 0) [stage, place] = before === undefined ? [stage, 0] : [before, maps[before].order.length - 1];
  choose({ stage, place });
}

function find() {
  const stage = Number(document.getElementById("stage").value);
  const unit = stages[stage].units.indexOf(Number(document.getElementById("unit-number").value));
  const place = maps[stage] ? maps[stage].order.indexOf(unit) : -1;
  if (unit >= 0 && place >= 0) choose({ stage, place });
  else document.getElementById("unit").replaceChildren(made("p", "This unit is not on the map."));
}

if (stages.length) {
  const select = document.getElementById("stage");
  stages.forEach((stage, i) => { select.append(new Option(stage.name, i)); });
  if (every > 1) document.getElementById("thinned").textContent = `One unit in ${every} is shown; units.parquet has all.`;
  map.addEventListener("keydown", move);
  select.addEventListener("change", find);
  document.getElementById("unit-number").addEventListener("change", find);
  onSwitch.push(() => { layOut(); tell(picked); });
  new ResizeObserver(() => { if (maps.length && map.clientWidth !== drawn) draw(); }).observe(map);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
} else {
  document.getElementById("atlas").hidden = true;
  document.getElementById("no-units").hidden = false;
}
