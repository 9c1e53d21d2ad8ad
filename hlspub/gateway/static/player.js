// The player: a plain <video> on the live address, or on a fixed root (?root=CID), and what is known about it.
import { ago, count, everySecond, follow, noteOf, path, setAttribute, setText, showState } from "./common.js";

const HLS = "application/vnd.apple.mpegurl";
const RETRY_S = [1, 2, 4, 8, 15];

const byId = (id) => document.getElementById(id);
const video = byId("video");
const query = new URLSearchParams(location.search);
const fixedRoot = query.get("root");
const name = location.pathname.split("/").slice(2).filter(Boolean).map(decodeURIComponent).join("/");
const canPlay = video.canPlayType(HLS) !== "";

let newest = null; // as the feed tells it
let source = ""; // what the <video> plays
let session = "";
let failures = 0;
let retryTimer = 0;

setText(byId("name"), name);
document.title = `${name} · hlspub`;
video.setAttribute("aria-label", `The stream ${name}`);

function curtain(title, ...text) {
  byId("curtain").hidden = title === "";
  setText(byId("curtain-title"), title);
  byId("curtain-text").replaceChildren(...text);
}

function load(url) {
  clearTimeout(retryTimer);
  source = url;
  if (!canPlay) {
    const address = document.createElement("code");
    address.textContent = location.origin + url;
    curtain(
      "This browser does not play HLS by itself",
      "Open this page in Safari, Edge or a current Chrome, or give this address to VLC or mpv: ", address,
    );
    return;
  }
  curtain("");
  video.src = url;
  video.play().catch(() => {}); // autoplay may be forbidden: the controls are there
}

video.addEventListener("playing", () => {
  failures = 0;
  curtain("");
});

video.addEventListener("error", () => {
  if (source === "") return;
  const wait = RETRY_S[Math.min(failures, RETRY_S.length - 1)];
  failures += 1;
  curtain("The stream cannot be played right now", `${video.error?.message || "The player gave no reason."} Trying again in ${wait} s.`);
  clearTimeout(retryTimer);
  retryTimer = setTimeout(() => load(source), wait * 1000);
});

function entryOf(state) {
  if (fixedRoot === null) return newest.entry;
  const sessions = state.streams.find((each) => each.name === name)?.sessions ?? [];
  return query.get("entry") ?? sessions.find((each) => each.root === fixedRoot)?.entry ?? newest?.entry ?? "master.m3u8";
}

function showWaiting(stream) {
  byId("facts").hidden = true;
  if (source !== "") {
    video.removeAttribute("src");
    video.load();
    source = "";
  }
  if (stream === undefined) {
    curtain(`There is no stream “${name}”`, "Should one of this name be configured, it starts here by itself.");
  } else {
    curtain("Waiting for the first root", "The stream starts here by itself.");
  }
}

function showFacts(root, entry) {
  byId("facts").hidden = false;
  setText(byId("root"), root);
  setText(byId("address"), `ipfs://${root}${path(entry)}`);
  setAttribute(byId("playlist"), "href", fixedRoot === null ? path("live", name, entry) : path("ipfs", root, entry));
  setAttribute(byId("tree"), "href", path("ipfs", root) + "/");
  const known = newest !== null && newest.root === root;
  for (const id of ["announced", "seq", "session"]) byId(id).parentElement.hidden = !known;
  if (!known) return;
  setText(byId("seq"), `number ${count(newest.seq)}${newest.final ? ", final" : ""}`);
  setText(byId("session"), newest.session);
  setAttribute(byId("announced"), "datetime", new Date(newest.published_at * 1000).toISOString());
  tick();
}

function tick() {
  if (newest !== null) setText(byId("announced"), ago(newest.published_at));
}

follow((state) => {
  const stream = state.streams.find((each) => each.name === name);
  newest = state.recent?.[name]?.newest ?? null;
  if (fixedRoot !== null) {
    byId("state").className = "state done";
    setText(byId("state"), "Fixed root");
  } else {
    byId("state").hidden = stream === undefined;
    showState(byId("state"), stream?.state);
  }
  setText(byId("note"), stream === undefined ? "" : noteOf(stream, newest));
  byId("note").hidden = byId("note").textContent === "";
  if (fixedRoot === null && newest === null) return showWaiting(stream);

  const entry = entryOf(state);
  const url = fixedRoot === null ? path("live", name, entry) : path("ipfs", fixedRoot, entry);
  const restarted = fixedRoot === null && session !== "" && session !== newest.session;
  session = newest?.session ?? "";
  if (url !== source || restarted) load(url);
  showFacts(fixedRoot ?? newest.root, entry);
});
everySecond(tick);

byId("copy").addEventListener("click", async () => {
  const address = byId("address");
  const copied = byId("copied");
  getSelection().selectAllChildren(address); // what is copied is seen, and Ctrl+C works where nothing else does
  let done = false;
  try {
    await navigator.clipboard.writeText(address.textContent);
    done = true;
  } catch {
    done = document.execCommand("copy"); // pages without TLS have no clipboard API
  }
  setText(copied, done ? "Copied" : "Selected: press Ctrl+C");
  setTimeout(() => setText(copied, ""), 4000);
});
