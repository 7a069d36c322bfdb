"use strict";
// A page is complete without the script, which switches, slides, plays and, in atlas.js, draws every unit.
// Names are external input, so they are only set as text.

const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const made = (tag, text, ...children) => {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  element.append(...children);
  return element;
};
all(".script").forEach((element) => { element.hidden = false; });

// One estimator at a time.

const switches = all("input[name=estimator]");
const onSwitch = [];
const chosen = () => (switches.find((input) => input.checked) || { value: (all(".panel")[0] || { dataset: {} }).dataset.estimator }).value;
function showChosen() {
  for (const panel of all(".panel")) panel.hidden = switches.length > 0 && panel.dataset.estimator !== chosen();
  onSwitch.forEach((draw) => draw());
}
switches.forEach((input) => input.addEventListener("change", showChosen));
const named = switches.find((input) => `#${input.value}` === location.hash);
if (named) named.checked = true;

// The threshold of the published score.

for (const slider of all("[data-threshold]")) {
  const { stages } = data.thresholds[slider.dataset.threshold];
  const panel = slider.closest(".panel");
  const output = panel.querySelector(".slider output");
  const rows = all(".classes tbody tr", panel);
  slider.addEventListener("input", () => {
    const text = (slider.value / 100).toFixed(2);
    output.textContent = text;
    slider.setAttribute("aria-valuetext", `λ = ${text}`);
    rows.forEach((row, i) => {
      let start = 0;
      stages[i].shares[slider.value].forEach((share, k) => {
        const bar = row.querySelectorAll("rect")[k];
        bar.setAttribute("x", `${start}%`);
        bar.setAttribute("width", `${share}%`);
        row.cells[k + 2].textContent = share.toFixed(1);
        start += share;
      });
    });
  });
}

// Strips of frames play, all at once.

const play = document.querySelector(".play button");
if (play) {
  const films = all("img[data-frames]").map((strip) => {
    const frames = Number(strip.dataset.frames);
    const moving = strip.cloneNode();
    moving.alt = "";
    const player = made("div", "", moving);
    player.className = "player";
    player.style.width = `${strip.width / frames}px`;
    player.style.height = `${strip.height}px`;
    strip.parentElement.before(player);
    const film = moving.animate(
      [{ transform: "translateX(0)" }, { transform: "translateX(-100%)" }],
      { duration: 150 * frames, iterations: Infinity, easing: `steps(${frames})` },
    );
    film.pause();
    return film;
  });
  const run = (playing) => {
    films.forEach((film) => (playing ? film.play() : film.pause()));
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(playing));
  };
  play.addEventListener("click", () => run(play.getAttribute("aria-pressed") !== "true"));
  run(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}

addEventListener("DOMContentLoaded", showChosen); // once all scripts have said what they draw
