// The first page: results while typing, the keyboard, and the energy window with two handles.
"use strict";
const form = document.getElementById("search"), box = document.getElementById("q");
let asked = 0, waiting = 0;

function address() {
  const said = new URLSearchParams();
  for (const [key, value] of new FormData(form)) if (value && key !== "ref") said.append(key, value);
  const text = said.toString();
  return form.getAttribute("action") + (text ? `?${text}` : "");
}

async function show(url, push) {
  const number = ++asked;
  let next;
  try {
    const answer = await fetch(url, { headers: { accept: "text/html" } });
    next = new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch { return location.assign(url); }
  if (number !== asked) return;  // a later question was quicker
  const results = next.getElementById("results");
  if (!results) return location.assign(url);
  const held = document.activeElement?.getAttribute("href"), open = form.querySelector("details").open;
  document.getElementById("results").replaceWith(results);
  document.getElementById("facets").replaceWith(next.getElementById("facets"));
  form.querySelector("details").open = open;
  for (const old of form.querySelectorAll(":scope > input[type=hidden]")) old.remove();
  form.append(...next.querySelectorAll("#search > input[type=hidden]"));
  if (document.activeElement !== box) box.value = next.getElementById("q").value;
  document.title = next.title;
  history[push ? "pushState" : "replaceState"](null, "", url);
  handles();
  if (push && held) form.querySelector("#facets a")?.focus();
}

box.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => show(address(), false), 120);
});
form.addEventListener("submit", (event) => {
  if (event.submitter?.hasAttribute("formaction")) return;
  event.preventDefault();
  clearTimeout(waiting);
  if (document.activeElement === box && document.querySelector(".results .ref") && location.href === new URL(address(), location.href).href) {
    document.querySelector(".results .ref").click();  // Enter opens what is shown first
  } else show(address(), true);
});
form.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-keep], .pages a, #facets a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(link.href, true);
});
addEventListener("popstate", () => show(location.href, false));

document.addEventListener("keydown", (event) => {
  if (!["ArrowDown", "ArrowUp", "Escape"].includes(event.key)) return;
  if (event.key === "Escape") return box.focus();
  const links = [...document.querySelectorAll(".results .ref")];
  const at = links.indexOf(document.activeElement);
  if (document.activeElement !== box && at < 0) return;
  event.preventDefault();
  const next = at + (event.key === "ArrowDown" ? 1 : -1);
  if (next < 0) box.focus(); else links[Math.min(next, links.length - 1)]?.focus();
});

// The window is drawn by the server; here it gets handles, for the pointer and the keyboard.
const LOW = Math.log10(0.0464), HIGH = 4, START = 6, STOP = 294;
const inputs = () => [form.elements.low, form.elements.high];
const place = (gev) => START + (Math.log10(gev) - LOW) / (HIGH - LOW) * (STOP - START);
const energy = (x) => 10 ** (LOW + Math.min(Math.max((x - START) / (STOP - START), 0), 1) * (HIGH - LOW));
const round = (gev) => Number(gev.toPrecision(2));

function ends() {
  const [low, high] = inputs().map((it) => Number(it.value));
  return [low > 0 ? low : 10 ** LOW, high > 0 ? high : 10 ** HIGH];
}

function handles() {
  const drawing = document.querySelector("#energy svg");
  ends().forEach((gev, which) => {
    const handle = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    const about = { r: 7, cy: 32, class: "handle", tabindex: 0, role: "slider",
                    "aria-label": which ? "highest energy, GeV" : "lowest energy, GeV",
                    "aria-valuemin": round(10 ** LOW), "aria-valuemax": 10 ** HIGH };
    for (const [key, value] of Object.entries(about)) handle.setAttribute(key, value);
    drawing.append(handle);
    handle.addEventListener("pointerdown", (event) => drag(event, handle, drawing, which));
    handle.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      set(which, ends()[which] * 10 ** (step / 12));
      place_all(drawing);
      clearTimeout(waiting);
      waiting = setTimeout(() => again(which), 400);
    });
  });
  place_all(drawing);
  drawing.setAttribute("role", "group");
}

function place_all(drawing) {
  const [low, high] = ends(), band = drawing.querySelector(".window");
  band.setAttribute("x", place(low));
  band.setAttribute("width", Math.max(place(high) - place(low), 1));
  drawing.querySelectorAll(".handle").forEach((handle, which) => {
    const gev = which ? high : low;
    handle.setAttribute("cx", place(gev));
    handle.setAttribute("aria-valuenow", round(gev));
    handle.setAttribute("aria-valuetext", `${round(gev)} GeV`);
  });
}

function set(which, gev) {
  const now = ends();
  now[which] = which ? Math.max(gev, now[0]) : Math.min(gev, now[1]);
  inputs().forEach((input, it) => { input.value = round(Math.min(Math.max(now[it], 10 ** LOW), 10 ** HIGH)); });
}

function drag(event, handle, drawing, which) {
  event.preventDefault();
  handle.setPointerCapture(event.pointerId);
  handle.focus();
  const move = (at) => {
    const frame = drawing.getBoundingClientRect();
    set(which, energy((at.clientX - frame.left) / frame.width * 300));
    place_all(drawing);
  };
  handle.addEventListener("pointermove", move);
  handle.addEventListener("pointerup", () => {
    handle.removeEventListener("pointermove", move);
    again(which);
  }, { once: true });
}

async function again(which) {
  await show(address(), true);
  document.querySelectorAll("#energy .handle")[which]?.focus();
}

if (matchMedia("(max-width: 50rem)").matches) form.querySelector("details").open = false;
handles();
