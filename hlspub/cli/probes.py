"""What `hlspub check` looks at on this machine: directories, the address, the kernel's limits.

Rule: a probe changes nothing and answers with a `Finding`. A missing stream directory is a warning, because a transcoder may
make it later; what would keep hlspub from working is an error.
"""

import errno
import os
import resource
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hlspub.cli.common import size_text
from hlspub.config.kinds import LOCAL
from hlspub.config.model import Config, Stream

LITTLE_ROOM = 1 << 30  # bytes free below which a stream soon stands still
FEW_DESCRIPTORS = 1024
FEW_WATCHES = 8192  # one a directory, shared by all programs of a user
_INOTIFY = Path("/proc/sys/fs/inotify")


class State(StrEnum):
    """How a probe went."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it when it is not well."""

    what: str
    state: State
    text: str


def probe(config: Config, *, daemon_runs: bool, inotify: Path = _INOTIFY) -> Iterator[Finding]:
    """Look at everything that the configuration needs from this machine."""
    yield _data_dir(config.data_dir)
    for name, stream in config.stream.items():
        yield _stream(name, stream)
    if not config.stream:
        yield Finding("stream", State.WARNING, "no stream is configured: `hlspub run` will not start")
    yield Finding(f"target.{LOCAL}", State.OK, "in data_dir")
    yield _listen(config, daemon_runs=daemon_runs)
    yield _descriptors()
    yield from _kernel(config, inotify)


def _data_dir(path: Path) -> Finding:
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        return Finding("data_dir", State.ERROR, f"{there} is not a directory")
    if not os.access(there, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        return Finding("data_dir", State.ERROR, f"this user may not write {there}; is it the service's user?")
    free = shutil.disk_usage(there).free
    state = State.OK if free >= LITTLE_ROOM else State.WARNING
    made = "" if path == there else "will be made, "
    return Finding("data_dir", state, f"{path}: {made}{size_text(free)} free")


def _stream(name: str, stream: Stream) -> Finding:
    what, path = f"stream.{name}", stream.path
    try:
        names = os.listdir(path)  # noqa: PTH208 -- only their number is wanted
    except FileNotFoundError:
        return Finding(what, State.WARNING, f"{path} is not there yet; hlspub waits for it")
    except NotADirectoryError:
        return Finding(what, State.ERROR, f"{path} is not a directory")
    except PermissionError:
        return Finding(what, State.ERROR, f"this user may not read {path}; is it in the transcoder's group?")
    streams = "" if stream.layout == "single" else f", streams by layout {stream.layout}"
    return Finding(what, State.OK, f"{path}: {len(names)} entr{'y' if len(names) == 1 else 'ies'}{streams}")


def _listen(config: Config, *, daemon_runs: bool) -> Finding:
    what, listen = "gateway.listen", config.gateway.listen
    if listen is None:
        return Finding(what, State.OK, "off")
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as why:
        if why.errno == errno.EADDRINUSE and daemon_runs:
            return Finding(what, State.OK, f"{listen}: in use, as a hlspub runs")
        return Finding(what, State.ERROR, f"{listen}: {why.strerror or why}")
    return Finding(what, State.OK, f"{listen} is free")


def _descriptors() -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft != resource.RLIM_INFINITY and soft < FEW_DESCRIPTORS
    advice = "; raise it: ulimit -n, or LimitNOFILE= in the unit" if few else ""
    return Finding("open files", State.WARNING if few else State.OK, f"this shell's limit is {soft}{advice}")


def _kernel(config: Config, inotify: Path) -> Iterator[Finding]:
    """The limits of inotify, when a stream is watched by it."""
    wanted = [name for name, stream in config.stream.items() if stream.watch != "poll"]
    for limit, least in (("max_user_watches", FEW_WATCHES), ("max_user_instances", len(wanted) + 1)):
        what = f"inotify {limit}"
        try:
            value = int((inotify / limit).read_text())
        except (OSError, ValueError):
            if wanted:
                yield Finding(what, State.WARNING, "not to be read: hlspub polls where inotify is missing")
            continue
        few = bool(wanted) and value < least
        advice = f"; raise it: sysctl fs.inotify.{limit}={least}" if few else ""
        yield Finding(what, State.WARNING if few else State.OK, f"{value}{advice}")
