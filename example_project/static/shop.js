// Keeps what is marked with data-live up to date, and lets a test card be chosen with a click.
// Every page works without this, by reloading itself.
"use strict";

const EVERY = 700;

// The server writes UTC; whoever reads the page has a clock of their own.
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour12: false });
  }
}

// The page itself is asked for only when the status has changed: it is drawn in one place, the
// server's templates.
async function redraw(region) {
  const answer = await fetch(location.href);
  if (!answer.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(region.id);
  // What is pressed must still be there when it is let go, or nothing comes of the click.
  if (!fresh || region.querySelector(":is(a, button):active")) return false;
  const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
  region.replaceChildren(...fresh.childNodes);
  localTimes(region);
  if (focused) document.getElementById(focused)?.focus();
  return true;
}

function watch(region) {
  let known = null;
  async function look() {
    try {
      const answer = document.hidden ? null : await fetch(region.dataset.live);
      if (answer?.ok) {
        const text = await answer.text();
        // The first look redraws too: something may have happened since the page was drawn.
        if (text !== known && (await redraw(region))) known = text;
        const status = JSON.parse(text);
        if (status.finished && status.state !== "stuck" && known === text) return;
      }
      region.classList.remove("lost");
    } catch {
      region.classList.add("lost");
    }
    setTimeout(look, EVERY);
  }
  look();
}

localTimes(document);
for (const region of document.querySelectorAll("[data-live]")) watch(region);
for (const button of document.querySelectorAll("[data-card]")) {
  button.addEventListener("click", () => {
    const field = document.querySelector("[name=card]");
    field.value = button.dataset.card;
    field.focus();
  });
}
