// Sending showers: the file itself as the body, so that the server counts it while it arrives.
"use strict";
const drop = document.getElementById("drop"), file = document.getElementById("file");
const said = document.getElementById("said"), bar = document.getElementById("sent");

function send(data) {
  if (data.size > Number(drop.dataset.limit)) { said.textContent = `The file has ${data.size} bytes, more than this server takes.`; return; }
  const asked = new XMLHttpRequest(), root = document.body.dataset.root;
  bar.hidden = false;
  said.textContent = `Sending ${data.name}`;
  asked.upload.addEventListener("progress", (event) => { bar.max = event.total; bar.value = event.loaded; });
  asked.addEventListener("load", () => {
    let answer = {};
    try { answer = JSON.parse(asked.responseText); } catch { /* told below */ }
    if (asked.status === 202) location.assign(root + answer.page);
    else said.textContent = answer.error || `The server refused it (${asked.status}).`;
  });
  asked.addEventListener("error", () => { said.textContent = "The connection broke. Try again."; });
  asked.open("POST", `${root}fit/upload`);
  asked.setRequestHeader("content-type", "application/octet-stream");
  asked.setRequestHeader("accept", "application/json");
  asked.setRequestHeader("x-form", document.body.dataset.form);
  asked.send(data);
}

file.addEventListener("change", () => { if (file.files[0]) send(file.files[0]); });
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });
}
