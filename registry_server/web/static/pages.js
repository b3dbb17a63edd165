// Every page: `/` goes to the search box, copy buttons copy, a page that waits looks again.
"use strict";
document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName || "");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const box = document.getElementById("q");
  if (box) { box.focus(); box.select(); } else location.assign(document.body.dataset.root + "#q");
});
if (location.hash === "#q") document.getElementById("q")?.focus();

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button[data-copy]");
  if (!button) return;
  const text = button.parentElement.querySelector("code").textContent;
  try { await navigator.clipboard.writeText(text); } catch { return mark(button); }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
function mark(button) {  // no clipboard without HTTPS: mark the text, so that Ctrl-C takes it
  getSelection().selectAllChildren(button.parentElement.querySelector("code"));
  button.textContent = "Ctrl-C";
}

for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;

async function look() {
  if (!document.querySelector("[data-wait]")) return;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    const next = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = next.getElementById("main");
    if (main) document.getElementById("main").replaceWith(main);
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
  } catch { /* the server may be starting again: look once more */ }
  setTimeout(look, 1000);
}
if (document.querySelector("[data-wait]")) setTimeout(look, 1000);
