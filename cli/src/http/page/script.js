// Keeps the page current: replaces the cards that have changed, and lets the beats beat.
"use strict";

const main = document.getElementById("elections");
const head = document.getElementById("head");
const live = document.getElementById("live");
const AGAIN_MS = 5000;
let last = 0;

function connect() {
  const source = new EventSource("events");
  source.onmessage = (message) => show(JSON.parse(message.data));
  source.onerror = () => {
    document.documentElement.classList.add("stale");
    say("No connection" + (last ? ", as of " + clock(last) : ""));
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS);
  };
}

function show(news) {
  last = news.at;
  document.documentElement.classList.remove("stale");
  say("Live, " + clock(last));
  if (news.head !== null) head.innerHTML = news.head;
  for (const [id, html] of Object.entries(news.cards)) replace(id, html);
  for (const card of [...main.children]) if (!news.order.includes(card.id)) card.remove();
  news.order.forEach((id, place) => {
    const card = document.getElementById(id);
    if (card && main.children[place] !== card) main.insertBefore(card, main.children[place]);
  });
  for (const [id, beat] of Object.entries(news.beats)) pulse(document.getElementById(id), beat);
}

// A new card keeps what was unfolded, scrolled and focused on the old one.
function replace(id, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const card = template.content.firstElementChild;
  const old = document.getElementById(id);
  if (!old) return main.append(card);
  const focused = document.activeElement;
  const kept = focused && old.contains(focused) ? keeper(focused) : null;
  for (const part of old.querySelectorAll("[data-keep]")) {
    const twin = card.querySelector(`[data-keep="${part.dataset.keep}"]`);
    if (!twin) continue;
    if (part.open) twin.open = true;
    twin.dataset.scrolled = part.scrollLeft;
  }
  const beat = old.dataset.beat;
  old.replaceWith(card);
  if (beat !== undefined) card.dataset.beat = beat;
  for (const part of card.querySelectorAll("[data-scrolled]")) part.scrollLeft = part.dataset.scrolled;
  if (kept) {
    const part = card.querySelector(`[data-keep="${kept}"]`);
    const target = part && part.tagName === "DETAILS" ? part.firstElementChild : part;
    if (target) target.focus({ preventScroll: true });
  }
  localise(card);
}

function keeper(element) {
  const part = element.closest("[data-keep]");
  return part ? part.dataset.keep : null;
}

function pulse(card, beat) {
  if (!card || !beat) return;
  const counter = card.querySelector("[data-beat]");
  const left = card.querySelector("[data-left]");
  const bar = card.querySelector(".bar i");
  if (!counter || !left || !bar) return;
  counter.textContent = beat.beat;
  left.textContent = beat.left === null ? "unknown" : (beat.left / 1000).toFixed(1) + " s";
  const before = card.dataset.beat;
  card.dataset.beat = beat.beat;
  if (before === String(beat.beat) && bar.style.transform) return;
  const share = beat.tenure ? Math.max(0, Math.min(1, (beat.left || 0) / beat.tenure)) : 0;
  bar.style.transition = "none";
  bar.style.transform = `scaleX(${share})`;
  const dot = card.querySelector(".pulse");
  dot.classList.remove("beats");
  void dot.offsetWidth;
  // The first one that is told may be long past.
  if (before !== undefined) dot.classList.add("beats");
  bar.style.transition = `transform ${beat.left || 0}ms linear`;
  bar.style.transform = "scaleX(0)";
}

// As the server writes it.
function clock(ms) {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ") + " UTC";
}

function say(text) {
  if (live.textContent !== text) live.textContent = text;
}

// All times are UTC, as in the logs; the title has the time where the reader is.
function localise(root) {
  for (const time of root.querySelectorAll("time[data-at]")) {
    time.title = new Date(Number(time.dataset.at)).toLocaleString();
  }
}

function age() {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-for]")) {
    time.dataset.for = Number(time.dataset.for) + 1000;
    time.textContent = duration(Math.floor(time.dataset.for / 1000));
  }
}

function duration(s) {
  if (s < 60) return s + " s";
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

localise(document);
setInterval(age, 1000);
connect();
