"use strict";
const PATIENCE_MS = 5 * 60 * 1000;
const find = (selector) => [...document.querySelectorAll(selector)];
const secrets = find("input[data-secret]");
const said = document.getElementById("said");
const left = document.getElementById("left");
const until = Date.now() + PATIENCE_MS;

// The code has been used; it need not stay in the history either.
history.replaceState(null, "", location.pathname);

// Where there is no TLS, browsers have no clipboard but this.
function copy(input) {
  input.select();
  return document.execCommand("copy");
}

function forget() {
  for (const input of secrets) {
    input.value = "";
    input.removeAttribute("value");
  }
  for (const part of find("[data-while]")) part.hidden = true;
  for (const part of find("[data-after]")) part.hidden = false;
  said.textContent = "";
  clearInterval(ticking);
}

function tick() {
  const seconds = Math.ceil((until - Date.now()) / 1000);
  if (seconds <= 0) return forget();
  const minutes = Math.ceil(seconds / 60);
  const rest = seconds > 60 ? `${minutes} minutes` : `${seconds} seconds`;
  left.textContent = `This page forgets it in ${rest}, or when you leave.`;
}

for (const input of secrets) input.classList.add("masked");
for (const button of find("button[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const input = document.getElementById(button.dataset.copies);
    const done = await navigator.clipboard?.writeText(input.value).then(() => true, () => false);
    said.textContent = done || copy(input) ? "Copied." : "Your browser did not let it be copied: select it.";
  });
}
for (const button of find("button[data-shows]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const input = document.getElementById(button.dataset.shows);
    const masked = input.classList.toggle("masked");
    button.textContent = masked ? "Show" : "Hide";
  });
}
const ticking = setInterval(tick, 1000);
addEventListener("pagehide", forget);
document.addEventListener("visibilitychange", tick);
tick();
