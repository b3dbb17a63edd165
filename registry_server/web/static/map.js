// The map: zoom with buttons or Ctrl-wheel, move by dragging, a line that tells what is under the pointer.
"use strict";
const map = document.querySelector(".map"), all = map.getAttribute("viewBox").split(" ").map(Number);
let view = [...all];
document.getElementById("zoom").hidden = false;

function look(box) {
  view = box;
  map.setAttribute("viewBox", view.map((it) => it.toFixed(1)).join(" "));
}

function zoom(factor, x = view[0] + view[2] / 2, y = view[1] + view[3] / 2) {
  const wide = Math.min(Math.max(view[2] * factor, all[2] / 40), all[2]);
  const share = wide / view[2];
  look([x - (x - view[0]) * share, y - (y - view[1]) * share, wide, view[3] * share]);
}

const place = (event) => {
  const frame = map.getBoundingClientRect();
  return [view[0] + (event.clientX - frame.left) / frame.width * view[2],
          view[1] + (event.clientY - frame.top) / frame.height * view[3]];
};

for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => {
    if (Number(button.dataset.zoom)) zoom(Number(button.dataset.zoom)); else look([...all]);
  });
}
map.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(event.deltaY < 0 ? 0.85 : 1.18, ...place(event));
}, { passive: false });
let from = null;
map.addEventListener("pointerdown", (event) => { if (!event.target.closest("a")) from = place(event); });
addEventListener("pointerup", () => { from = null; });
map.addEventListener("pointermove", (event) => {
  const told = event.target.querySelector?.("title");
  if (told && event.target !== map) document.getElementById("told").textContent = told.textContent;
  if (!from) return;
  const [x, y] = place(event);
  look([view[0] + from[0] - x, view[1] + from[1] - y, view[2], view[3]]);
});
