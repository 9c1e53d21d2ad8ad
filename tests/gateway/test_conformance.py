"""The IPFS project's own conformance suite (`gateway-conformance`) against our gateway, with the suite's own fixtures.

Its fixtures are served as our daemon serves a stream's blocks and names: every block of its CARs, every record that is valid.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from hlspub.errors import IpnsError
from hlspub.gateway.ports import NamedRecord
from hlspub.ipld.car_reader import CarReader
from hlspub.ipns.name import Name
from hlspub.ipns.record import NS, read
from tests.gateway.house import House, running

pytestmark = [pytest.mark.anyio, pytest.mark.conformance]
SUITE = "gateway-conformance"
GROUPS = (
    "trustless-block-gateway",
    "trustless-car-gateway",
    "trustless-ipns-gateway",
    "path-unixfs-gateway",
    "path-raw-gateway",
    "path-range-gateway",
    "path-ipns-gateway",
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    fixtures, made = tmp_path / "fixtures", House()
    fixtures.mkdir()
    subprocess.run([_suite(), "extract-fixtures", "--dir", fixtures], check=True, capture_output=True, timeout=60)
    for car in fixtures.rglob("*.car"):
        with car.open("rb") as file:
            for block in CarReader(file.read):
                made.blocks.keep(block.cid, block.data)
    for file in fixtures.rglob("*.ipns-record"):
        signed = file.read_bytes()
        with suppress(IpnsError):
            name = Name.parse(file.name.partition("_")[0])
            record = read(name, signed)
            made.named[str(name)] = NamedRecord(
                signed, record.value, record.ttl_ns / NS, record.expires_ns / NS, made.clock.now()
            )
    return made


def _suite() -> str:
    found = shutil.which(SUITE)
    assert found is not None
    return found


@pytest.mark.parametrize("group", GROUPS)
async def test_the_group_passes(house: House, tmp_path: Path, group: str) -> None:
    report = tmp_path / "report.json"
    async with running(house, deadline_s=240) as (host, port):
        url = f"http://{host}:{port}"
        command = [_suite(), "test", "--gateway-url", url, "--json", str(report), "--specs", group]
        done = await anyio.to_thread.run_sync(
            lambda: subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
        )
    ended = dict(_leaves(report))
    failed = {name for name, action in ended.items() if action == "fail"}
    assert "pass" in ended.values(), done.stdout + done.stderr
    assert failed == set(), done.stdout[-20_000:]


def _leaves(report: Path) -> Iterator[tuple[str, str]]:
    """(test, "pass", "fail" or "skip"): go's own report, a line an event."""
    for line in report.read_text().splitlines():
        event: dict[str, Any] = json.loads(line)
        if event.get("Test") and event["Action"] in ("pass", "fail", "skip"):
            yield event["Test"], event["Action"]
