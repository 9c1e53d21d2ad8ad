"""`hlspub status`: what the daemon says, and without one what the journal knows."""

import importlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from hlspub.cli import service
from hlspub.cli.common import Answer, config_option, define, emit, json_option, size_text, table, talk, time_text
from hlspub.config.places import JOURNAL_NAME, find_data_dir
from hlspub.gateway.control_client import DaemonSilent, NoDaemon
from hlspub.journal.reader import JournalReader
from hlspub.journal.telling import SavedName

ANSWER_S = 10.0
_SHOWN = 3  # refused files and waiting playlists that are named; --json has more


@define("status")
@config_option
@json_option
def command(*, config: Path | None, as_json: bool) -> None:
    """Show streams, sessions, targets, names and hooks.

    Asks the running hlspub; when none runs, says so and shows what the journal knows.

    Example:  hlspub status --json
    Exit codes: 0 shown, 66 there is no journal, 77 no permission, 78 wrong configuration.
    """
    data_dir = find_data_dir(config, os.environ)
    answer = _status(data_dir) | {"data_dir": str(data_dir)}
    emit(answer, as_json=as_json, text=lambda given: text(given, time.time()))


def text(answer: Answer, now: float) -> str:
    """The answer for people: one stream a block, then targets, names and hooks."""
    runs = {"running": "hlspub runs", "silent": "hlspub runs and does not answer", "stopped": "no hlspub runs"}
    blocks = [f"{runs[str(answer['daemon'])]}; its data is in {answer['data_dir']}"]
    blocks += ["\n".join(_stream(stream, now)) for stream in cast("Sequence[Mapping[str, Any]]", answer["streams"])]
    if not answer["streams"]:
        blocks.append("no stream has been followed yet")
    targets = cast("Sequence[Mapping[str, Any]]", answer["targets"])
    if targets:
        rows = [(target["name"], target["state"], _backlog(target)) for target in targets]
        blocks.append("targets\n" + table(rows, indent="  "))
    for title, describe in (("names", _name), ("hooks", _hook)):
        told = cast("Sequence[Mapping[str, Any]]", answer.get(title, ()))
        if told:
            blocks.append(f"{title}\n" + table([row for one in told for row in describe(one, now)], indent="  "))
    return "\n\n".join(blocks)


def _status(data_dir: Path) -> dict[str, object]:
    try:
        return service.ask(data_dir, {"op": "status"}, ANSWER_S) | {"daemon": "running"}
    except NoDaemon:
        return _from_journal(data_dir) | {"daemon": "stopped"}
    except DaemonSilent as why:
        talk(f"hlspub: {why}. {why.hint}")
        return _from_journal(data_dir) | {"daemon": "silent"}


def _from_journal(data_dir: Path) -> dict[str, object]:
    with JournalReader(data_dir / JOURNAL_NAME) as journal:
        answer = journal.status(time.time())
        named = journal.named()
    answer["streams"] = [{"entry_url": None} | stream for stream in answer["streams"]]
    answer["names"] = [told | {"expires": _expires(saved)} for told, saved in zip(answer["names"], named, strict=True)]
    return answer


def _expires(saved: SavedName) -> str:
    """Until when a name's newest record holds; read only where there is one, since that loads the signatures' library."""
    name, record = (importlib.import_module(f"hlspub.ipns.{module}") for module in ("name", "record"))
    expires_ns: int = record.read(name.Name.parse(saved.name), saved.signed).expires_ns
    return datetime.fromtimestamp(expires_ns // 10**9, UTC).isoformat()


def _stream(stream: Mapping[str, Any], now: float) -> Iterator[str]:
    yield f"{stream['name']}  {stream['state']}"
    rows = [("directory", str(stream["directory"]))]
    session = next(iter(stream["sessions"]), None)
    if session:
        rows.append(("session", _session(session, now)))
    if stream["root"]:
        final = ", final" if stream["final"] else ""
        rows.append(("root", f"{stream['root']}  #{stream['seq']}, {_ago(stream['published_at'], now)}{final}"))
        rows.append(("entry", f"ipfs://{stream['root']}/{stream['entry']}"))
    if stream.get("entry_url"):
        rows.append(("play", str(stream["entry_url"])))
    rows.append(("segments", f"{stream['segments']}, {stream['pending']} pending"))
    rows += [
        ("waits", f"{playlist['playlist']} for {', '.join(playlist['absent'][:_SHOWN])}")
        for playlist in stream.get("waiting_for", ())[:_SHOWN]
    ]
    rows += [("", hint) for hint in dict.fromkeys(one.get("hint") for one in stream.get("waiting_for", ())) if hint]
    if stream.get("waiting_for_targets"):
        rows.append(("waits", f"for {', '.join(stream['waiting_for_targets'])} (see targets)"))
    rows += [("stopped", why) for why in stream.get("stopped", ())]
    rows += [("refused", f"{refused['path']}: {refused['reason']}") for refused in stream.get("refused", ())[:_SHOWN]]
    if stream["state"] == "needs_entry":
        rows.append(("entry?", f'name one as entry = "…": {", ".join(stream.get("candidates", ()))}'))
    yield table(rows, indent="  ")


def _session(session: Mapping[str, Any], now: float) -> str:
    if session["ended"] is None:
        return f"{session['id']}, began {_ago(session['started'], now)}"
    return f"{session['id']}, ended {_ago(session['ended'], now)} ({session['reason']})"


def _backlog(target: Mapping[str, Any]) -> str:
    parts: list[str] = []
    if target["backlog_cars"]:
        oldest = (
            f", the oldest for {time_text(target['oldest_pending_seconds'])}"
            if target["oldest_pending_seconds"]
            else ""
        )
        parts.append(f"{target['backlog_cars']} CARs ({size_text(target['backlog_bytes'])}) wait{oldest}")
    trouble = _trouble(target) if target["state"] != "ok" else ""
    return ("; ".join(parts) + trouble).removeprefix("; ") or "nothing waits"


def _name(name: Mapping[str, Any], now: float) -> Iterator[tuple[str, ...]]:
    """A name's line, and one for each router."""
    leads = f"-> {name['root']}" if name["root"] else "leads nowhere yet"
    until = f", until {name['expires']}" if name.get("expires") else ""
    yield name["name"], name["id"], f"{leads}{until}"
    for router in name["routers"]:
        sent = f"sent {_ago(router['sent_at'], now)}" if router["sent_at"] else "not sent yet"
        yield "", f"  {router['name']}  {router['state']}", sent + _trouble(router)


def _hook(hook: Mapping[str, Any], now: float) -> Iterator[tuple[str, ...]]:
    oldest = hook["oldest_pending_seconds"]
    waits = f"{hook['pending']} publications wait, the oldest for {time_text(oldest)}" if hook["pending"] else ""
    last = f"told {_ago(hook['told_at'], now)}" if hook["told_at"] else "told nothing yet"
    yield hook["name"], hook["state"], "; ".join(filter(None, (waits, last))) + _trouble(hook)


def _trouble(of: Mapping[str, Any]) -> str:
    if not of.get("error"):
        return ""
    retry = of.get("next_try_in_seconds")
    return f"; {of['error']}{'' if retry is None else f'; next try in {time_text(retry)}'}"


def _ago(at: float | None, now: float) -> str:
    return "never" if at is None else f"{time_text(now - at)} ago"
