"""Sliding playlists under `archive`: the end is the whole recording, however the windows were seen."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from hlspub.hls.scan import scan
from hlspub.ipld.cid import Cid
from tests.engine.stage import media, multivariant
from tests.pipeline.house import Site, site, until

pytestmark = pytest.mark.anyio
WINDOW = 3


def listed(last: int, names: Sequence[str]) -> bytes:
    """The window whose last segment is `last`; `names` are used in turn."""
    first = max(0, last + 1 - WINDOW)
    return media(first, [names[number % len(names)] for number in range(first, last + 1)])


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    """A file in a directory that is not watched yet has to rest first; not here."""
    for name in ("hls", "one/hls", "two/hls"):
        (tmp_path / name / "v").mkdir(parents=True)


async def step(here: Site, number: int, names: Sequence[str], *, seen: bool = True) -> None:
    """A segment comes and the window slides; what left it is deleted, when its name is not used again."""
    await here.write_and_wait(f"v/{names[number % len(names)]}", b"segment %d" % number)
    text = listed(number, names)
    if seen:
        await here.write_and_wait("v/i.m3u8", text)
    else:
        here.write("v/i.m3u8", text)
    if number >= 2 * WINDOW and len(names) > 2 * WINDOW:
        (here.folder / "v" / names[number - 2 * WINDOW]).unlink()


def recorded(tree: dict[str, bytes]) -> list[bytes]:
    """What a player of the final tree is told to play, in order."""
    playlist = scan(tree["v/i.m3u8"], "v/i.m3u8")
    assert (playlist.endlist, playlist.playlist_type, playlist.media_sequence) == (True, "VOD", 0)
    return [tree[reference.path] for reference in playlist.references if reference.required]


NAMES = [f"s{number}.ts" for number in range(20)]
ALL = [b"segment %d" % number for number in range(8)]


async def stream(
    tmp_path: Path, lives: Sequence[range], *, names: Sequence[str] = NAMES
) -> tuple[dict[str, bytes], Cid]:
    """A stream of some segments over some lives of the pipeline; the final tree and root."""
    for life in lives:
        async with site(tmp_path) as here:
            here.write("master.m3u8", multivariant("v/i.m3u8"))
            for number in life:
                await step(here, number, names)
            newest = listed(life[-1], names)
            await here.root(lambda tree, newest=newest: tree.get("v/i.m3u8") == newest)
            if life is lives[-1]:
                tree = await here.end()
                return tree, here.published[0].root
    raise AssertionError("no life")


async def test_the_end_of_a_window_is_the_whole_recording(tmp_path: Path) -> None:
    tree, _ = await stream(tmp_path, [range(8)])
    assert recorded(tree) == ALL
    assert tree.keys() == {"master.m3u8", "v/i.m3u8", *(f"v/{name}" for name in NAMES[:8])}


async def test_it_is_the_same_over_restarts(tmp_path: Path) -> None:
    _, undisturbed = await stream(tmp_path / "one", [range(8)])
    tree, root = await stream(tmp_path / "two", [range(2), range(2, 5), range(5, 6), range(6, 8)])
    assert recorded(tree) == ALL
    assert root == undisturbed


async def test_a_name_that_is_used_again_keeps_its_newest_bytes(tmp_path: Path) -> None:
    tree, _ = await stream(tmp_path, [range(4), range(4, 8)], names=NAMES[:4])
    assert recorded(tree) == ALL
    assert tree["v/s1.ts"] == b"segment 5"
    assert tree["v/s1.1.ts"] == b"segment 1"
    assert len(tree) == 10


async def test_a_version_that_was_not_taken_is_in_the_recording_too(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.write("master.m3u8", multivariant("v/i.m3u8"))
        for number in range(8):
            await step(here, number, NAMES, seen=number in {0, 7})
        await here.root(lambda tree: b"s7.ts" in tree.get("v/i.m3u8", b""))
        tree = await here.end()
    assert recorded(tree) == ALL


async def test_a_segment_that_nobody_saw_is_a_gap_of_the_recording(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        here.write("master.m3u8", multivariant("v/i.m3u8"))
        for number in range(8):
            if number == 2:
                here.write("v/i.m3u8", listed(number, NAMES).replace(b"TARGETDURATION:2", b"TARGETDURATION:0"))
                await until(lambda: b"s2.ts" in (here.folder / "v/i.m3u8").read_bytes(), "written")
            else:
                await step(here, number, NAMES)
        tree = await here.end()
    lines = tree["v/i.m3u8"].decode().splitlines()
    assert lines[lines.index("s2.ts") - 2 : lines.index("s2.ts")] in (
        ["#EXT-X-GAP", "#EXTINF:2.0,"],
        ["#EXTINF:2.0,", "#EXT-X-GAP"],
    )
    assert recorded(tree) == [data for number, data in enumerate(ALL) if number != 2]
    assert here.metrics.render().count(b'hlspub_segments_total{result="lost",stream="main"} 1.0') == 1
