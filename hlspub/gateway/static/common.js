// What both pages share: the feed of server-sent events, the server's clock, and how figures are written.
// Text goes into a page as text, never as markup, and only when it changed: a selection survives an update.

let skew = 0; // the server's clock less ours, in seconds

export const now = () => Date.now() / 1000 + skew;

/** Call `onState` with each state; tell in `#link` how the connection is. Closed while the page is hidden. */
export function follow(onState) {
  const link = document.getElementById("link");
  let source = null;
  const say = (kind, text) => {
    link.dataset.link = kind;
    setText(link, text);
  };
  const open = () => {
    if (source !== null || document.hidden) return;
    source = new EventSource("/api/events");
    source.onopen = () => say("live", "Updates live");
    source.onerror = () => {
      say("lost", "Connection lost, trying again…");
      if (source !== null && source.readyState === EventSource.CLOSED) {
        // The server refused (it is stopping, or full): the browser does not try again by itself.
        source = null;
        setTimeout(open, 3000);
      }
    };
    source.onmessage = (event) => {
      const state = JSON.parse(event.data);
      skew = state.at - Date.now() / 1000;
      say("live", "Updates live");
      onState(state);
    };
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

/** Run `tick` now and every second while the page can be seen. */
export function everySecond(tick) {
  tick();
  setInterval(() => document.hidden || tick(), 1000);
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** An element with a class, text and children. */
export function make(tag, className = "", ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

const figures = new Intl.NumberFormat("en", { useGrouping: true });
export const count = (value) => figures.format(value).replaceAll(",", "\u202f");

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];
export function bytes(value) {
  let step = 0;
  while (value >= 1024 && step < UNITS.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${step ? value.toFixed(1) : value} ${UNITS[step]}`;
}

/** A duration in the two largest units that say something. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

export const ago = (time) => `${duration(now() - time)} ago`;

export function path(...names) {
  return names.map((name) => "/" + name.split("/").map(encodeURIComponent).join("/")).join("");
}

// state -> [the word shown, how it is meant]; the style sheet gives each meaning a colour and a shape.
const STATES = {
  running: ["Live", "good"],
  ok: ["Up to date", "good"],
  waiting: ["Waiting", "idle"],
  closing: ["Ending", "busy"],
  ending: ["Ending", "busy"],
  ended: ["Ended", "done"],
  catching_up: ["Catching up", "busy"],
  needs_entry: ["Needs an entry", "bad"],
  degraded: ["Degraded", "bad"],
  needs_action: ["Needs action", "bad"],
};

export const stateOf = (state) => STATES[state] ?? [String(state ?? "unknown").replaceAll("_", " "), "idle"];

/** What a person should know of a stream besides its state. */
export function noteOf(stream, newest) {
  const notes = [];
  if (stream.state === "needs_entry") {
    const names = (stream.candidates ?? []).join(", ");
    notes.push(`Several playlists could be the entry${names && `: ${names}`}. Name one with entry = "…" in the configuration.`);
  } else if (newest === null) {
    notes.push(stream.state === "waiting" ? "Waiting for the transcoder’s first files." : "Waiting until a playlist and all it lists are there.");
  }
  for (const { path, reason } of (stream.refused ?? []).slice(0, 2)) notes.push(`Refused ${path}: ${sentence(reason)}`);
  const more = (stream.refused ?? []).length - 2;
  if (more > 0) notes.push(`${count(more)} more refused: see hlspub status.`);
  return notes.join(" ");
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export function showState(node, state) {
  const [word, meaning] = stateOf(state);
  node.className = `state ${meaning}`;
  setText(node, word);
}
