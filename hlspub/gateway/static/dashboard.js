// The dashboard: every stream and target, kept up to date in place.
import { ago, bytes, count, duration, everySecond, follow, make, noteOf, now, path, sentence, setAttribute, setText, showState, stateOf } from "./common.js";

const STRIP_SPANS = [120, 600, 1800, 3600]; // seconds that a strip of roots may show
const SVG = "http://www.w3.org/2000/svg";
const streams = new Map(); // name -> card
const targets = new Map(); // name -> row
let last = null;

const byId = (id) => document.getElementById(id);

let ids = 0;
const nextId = () => `part-${(ids += 1)}`;

function fact(label) {
  const name = make("dt", "", label);
  const value = make("dd");
  return { name, value, box: make("div", "", name, value) };
}

function streamCard(name) {
  const title = make("h3", "", name);
  title.id = nextId();
  const state = make("p", "state");
  const note = make("p", "note");
  const facts = { announced: fact("Newest root"), segments: fact("Segments"), pending: fact("Not delivered yet"), seq: fact("Roots") };
  const strip = document.createElementNS(SVG, "svg");
  strip.setAttribute("class", "strip");
  strip.setAttribute("role", "img");
  const stripText = make("figcaption", "quiet");
  const figure = make("figure", "", strip, stripText);
  const root = make("code", "cid");
  const watch = make("a", "button", "Watch");
  watch.setAttribute("aria-label", `Watch ${name}`);
  watch.href = path("play", name);
  const playlist = make("a", "", "Playlist");
  const files = make("a", "", "Files");
  const rootBox = make("div", "root", make("span", "label", "Root"), root);
  const box = make(
    "article", "card",
    make("div", "title-row", title, state),
    note,
    make("dl", "", ...Object.values(facts).map((each) => each.box)),
    figure, rootBox,
    make("p", "actions", watch, playlist, files),
  );
  box.id = nextId();
  box.setAttribute("aria-labelledby", title.id);
  return { box, state, note, facts, strip, stripText, figure, root, rootBox, watch, playlist, files };
}

function showStream(card, stream, recent) {
  const newest = recent?.newest ?? null;
  showState(card.state, stream.state);
  setText(card.note, noteOf(stream, newest));
  card.note.hidden = card.note.textContent === "";
  setText(card.facts.announced.name, newest?.final ? "Final root" : "Newest root");
  setText(card.facts.announced.value, newest ? ago(newest.published_at) : "none yet");
  setText(card.facts.segments.value, count(stream.segments ?? 0));
  setText(card.facts.pending.value, count(stream.pending ?? 0));
  setText(card.facts.seq.value, newest ? count(newest.seq) : "0");
  for (const part of [card.rootBox, card.playlist, card.files, card.facts.pending.box, card.facts.seq.box]) part.hidden = newest === null;
  card.watch.classList.toggle("later", newest === null);
  card.figure.hidden = newest === null || recent.times.length < 3;
  if (newest === null) return;
  setText(card.root, newest.root);
  setAttribute(card.playlist, "href", path("live", stream.name, newest.entry));
  setAttribute(card.files, "href", path("ipfs", newest.root) + "/");
  drawStrip(card, recent.times, newest);
}

/** A mark for each recent root on a line of time: even marks are a healthy stream, a hole is a pause. */
function drawStrip(card, times, newest) {
  const end = newest.final ? newest.published_at : now();
  const oldest = times[times.length - 1][1];
  const span = STRIP_SPANS.find((each) => end - oldest <= each) ?? STRIP_SPANS[STRIP_SPANS.length - 1];
  const shown = times.filter(([, at]) => end - at <= span);
  while (card.strip.childElementCount < shown.length) {
    const mark = document.createElementNS(SVG, "rect");
    mark.setAttribute("width", "2");
    mark.setAttribute("height", "100%");
    mark.setAttribute("rx", "1");
    card.strip.append(mark);
  }
  while (card.strip.childElementCount > shown.length) card.strip.lastElementChild.remove();
  shown.forEach(([, at], index) => {
    const mark = card.strip.children[index];
    mark.setAttribute("x", `${(99 * (1 - Math.max(0, end - at) / span)).toFixed(2)}%`);
    setAttribute(mark, "class", index === 0 ? "newest" : "");
  });
  const roots = `${shown.length} ${shown.length === 1 ? "root" : "roots"}`;
  const minutes = span < 3600 ? `${span / 60} minutes` : "hour";
  const text = newest.final ? `${roots} in the last ${minutes} before the end` : `${roots} in the last ${minutes}`;
  setText(card.stripText, text);
  setAttribute(card.strip, "aria-label", text);
}

function targetRow() {
  const name = make("h3");
  const kind = make("p", "quiet kind");
  const state = make("p", "state");
  const backlog = fact("Waiting");
  const oldest = fact("Oldest");
  const note = make("p", "note");
  const box = make("li", "target", make("div", "who", name, kind), state, make("dl", "", backlog.box, oldest.box), note);
  box.id = nextId();
  return { box, name, kind, state, backlog: backlog.value, oldest: oldest.value, note };
}

function showTarget(row, target, at) {
  setText(row.name, target.name);
  const kind = target.kind && target.kind !== target.name ? target.kind : "";
  setText(row.kind, [kind, target.required === false ? "not required" : ""].filter(Boolean).join(", "));
  showState(row.state, target.state);
  const cars = target.backlog_cars ?? 0;
  setText(row.backlog, cars ? `${count(cars)} ${cars === 1 ? "CAR" : "CARs"}, ${bytes(target.backlog_bytes ?? 0)}` : "nothing");
  setText(row.oldest, cars ? duration((target.oldest_pending_seconds ?? 0) + now() - at) : "–");
  const retry = target.next_try_in_seconds == null ? null : target.next_try_in_seconds - (now() - at);
  const next = retry === null ? "" : retry > 0.5 ? ` Next try in ${duration(retry)}.` : " Trying again now.";
  setText(row.note, target.error && target.state !== "ok" ? sentence(target.error) + next : "");
  row.note.hidden = row.note.textContent === "";
}

/** Keep `list` the children of `box`, in order, made by `create` when new. */
function arrange(box, known, names, create) {
  for (const [name, { box: node }] of known) {
    if (!names.includes(name)) {
      node.remove();
      known.delete(name);
    }
  }
  names.forEach((name, index) => {
    if (!known.has(name)) known.set(name, create(name));
    const node = known.get(name).box;
    if (box.children[index] !== node) box.insertBefore(node, box.children[index] ?? null);
  });
}

function summary(state) {
  const live = state.streams.filter((each) => stateOf(each.state)[1] === "good").length;
  const total = state.streams.length;
  if (total === 0) return "Nothing to publish yet";
  if (total === 1) return live ? `${state.streams[0].name} is live` : `${state.streams[0].name}: ${stateOf(state.streams[0].state)[0].toLowerCase()}`;
  if (live === 0) return "No stream is live";
  if (live === total) return `All ${total} streams are live`;
  return live === 1 ? `1 of ${total} streams is live` : `${live} of ${total} streams are live`;
}

/** The names of what needs a person, as links to it. */
function showAttention(state) {
  const bad = [];
  for (const [list, known] of [[state.streams, streams], [state.targets, targets]]) {
    for (const each of list) if (stateOf(each.state)[1] === "bad") bad.push([each.name, known.get(each.name).box.id]);
  }
  const box = byId("attention");
  box.hidden = bad.length === 0;
  const text = `Needs attention: ${bad.map(([name]) => name).join(", ")}`;
  if (box.textContent === text) return;
  box.replaceChildren("Needs attention: ");
  bad.forEach(([name, id], index) => {
    const link = make("a", "", name);
    link.href = `#${id}`;
    box.append(index ? ", " : "", link);
  });
}

function show() {
  if (last === null) return;
  for (const stream of last.streams) showStream(streams.get(stream.name), stream, last.recent?.[stream.name]);
  for (const target of last.targets) showTarget(targets.get(target.name), target, last.at);
}

follow((state) => {
  last = state;
  arrange(byId("streams"), streams, state.streams.map((each) => each.name), streamCard);
  arrange(byId("targets"), targets, state.targets.map((each) => each.name), targetRow);
  byId("streams-section").hidden = state.streams.length === 0;
  byId("empty").hidden = state.streams.length > 0;
  byId("targets-section").hidden = state.targets.length === 0;
  const text = summary(state);
  setText(byId("summary"), text);
  showAttention(state);
  document.title = `${text} · hlspub`;
  show();
});
everySecond(show);
