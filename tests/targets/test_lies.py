"""A server that answers anything whatever: an adapter ends in success or in a `TargetError`, never in a bug."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlspub.errors import TargetError
from hlspub.targets import http
from hlspub.targets.cluster import ClusterTarget
from hlspub.targets.cluster_rest import ClusterRest
from hlspub.targets.kubo import KuboTarget
from hlspub.targets.kubo_rpc import KuboRpc
from tests.targets.scenes import Growing, spool_in

WORDS = [
    *("Root", "Cid", "/", "PinErrorMsg", "Stats", "BlockCount", "Pins", "Keys", "Key", "Message", "Type", "error"),
    *("Version", "ID", "cid", "bytes", "allocations", "peer_map", "status", "pinned", "pin_error", "message"),
    *("version", "cluster_peers", "block was not found locally", "could not find block", "not part of the pinset"),
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.sampled_from(WORDS), st.text(max_size=5)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
BODIES = st.lists(VALUES, max_size=3).map(lambda lines: "\n".join(map(json.dumps, lines)).encode()) | st.binary(
    max_size=20
)
ANSWERS = st.lists(st.tuples(st.sampled_from([200, 200, 200, 404, 500]), BODIES), min_size=1, max_size=5)
DEEP = [(200, b"[" * 200_000), (500, b"[" * 200_000)]
STATS = [(200, b'{"Root": null}\n{"Stats": null}'), (200, b'{"Root": {"Cid": 1}}\n{"Stats": {"BlockCount": "x"}}')]
GONE = [(500, json.dumps({"Message": "could not find block", "Type": "error"}).encode())]
ENDLESS = [(200, b'{"Stats": {"BlockCount": Infinity}, "cid": "x", "bytes": Infinity}')]
PEERS = [(200, b'{"peer_map": {"a": "b"}}'), (200, b'{"peer_map": {"a": null}}')]


def kubo(growing: Growing, client: http.AsyncClient) -> KuboTarget:
    return KuboTarget("node", KuboRpc("http://k", client, {}), client, growing.spool.open, growing.block)


def cluster(growing: Growing, client: http.AsyncClient) -> ClusterTarget:
    async def at_once(_seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    target = ClusterTarget(
        "nodes", ClusterRest("http://c", client, {}), growing.spool.open, growing.block, client.aclose
    )
    target.sleep = at_once
    return target


async def ask_everything(folder: Path, build: Callable[..., Any], answers: list[tuple[int, bytes]]) -> None:
    growing, turn = Growing(spool_in(folder), 7), 0

    def answer(_request: httpx.Request) -> httpx.Response:
        nonlocal turn
        turn += 1
        status, body = answers[turn % len(answers)]
        return httpx.Response(status, content=body)

    target = build(growing, http.make_client(transport=httpx.MockTransport(answer)))
    file, nodes = growing.file(), growing.nodes()
    acts: list[Callable[[], Awaitable[object]]] = [
        lambda: target.put([file]),
        lambda: target.put([nodes]),
        lambda: target.has(file),
        lambda: target.bind(nodes.root, supersedes=None),
        lambda: target.bind(nodes.root, supersedes=file.root),
        lambda: target.forget(nodes.root),
        lambda: target.read(nodes.root),
        target.check,
    ]
    for act in acts:
        with anyio.move_on_after(0.2):  # a pin that never comes is waited for, as long as the courier's patience
            with suppress(TargetError):
                await act()
    await target.aclose()


@pytest.mark.parametrize("build", [kubo, cluster])
@settings(max_examples=60)
@given(answers=ANSWERS)
@example(answers=DEEP)
@example(answers=STATS)
@example(answers=GONE)
@example(answers=PEERS)
@example(answers=ENDLESS)
def test_whatever_a_server_answers_no_bug_comes_of_it(
    build: Callable[..., Any], answers: list[tuple[int, bytes]]
) -> None:
    with TemporaryDirectory() as folder:
        anyio.run(ask_everything, Path(folder), build, answers)
