import sys
from io import BytesIO
from pathlib import Path
from subprocess import run

from hlspub.ipld import car, walk
from hlspub.ipld.block import Block
from hlspub.ipld.car_reader import CarReader
from hlspub.ipld.cid import Cid
from hlspub.ipld.dag import walk_dag
from tests.block_server import serving
from tests.cli.conftest import Hlspub
from tests.dags import Dags

FILES = {"a/b.ts": bytes(range(256)) * 10_000, "a/c.ts": b"c", "m.txt": b"text", "d.ts": b"c"}


def shuffled(tmp_path: Path, root: Cid, dags: Dags) -> Path:
    path = tmp_path / "in.car"
    path.write_bytes(car.node_car(root, [Block(cid, dags[cid]) for cid in sorted(dags)])[0])
    return path


def test_writes_every_block_once_in_depth_first_order(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    out = tmp_path / "out.car"
    done = hlspub("export", root, "-o", out, "--from", shuffled(tmp_path, root, dags), "--json")
    assert (done.code, done.err) == (0, "")
    reader = CarReader(BytesIO(out.read_bytes()).read)
    assert reader.roots == (root,)
    assert list(reader) == list(walk.stream(walk_dag(root), dags.fetch))
    assert done.json == {"root": str(root), "blocks": len(dags), "bytes": out.stat().st_size}
    assert hlspub("verify", root, "--from", out).code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"in.car", "out.car"}


def test_a_gateway_is_a_source(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    with serving(dags) as server:
        assert hlspub("export", root, "-o", tmp_path / "a.car", "--from", server.url).code == 0
    assert hlspub("export", root, "-o", tmp_path / "b.car", "--from", shuffled(tmp_path, root, dags)).code == 0
    assert (tmp_path / "a.car").read_bytes() == (tmp_path / "b.car").read_bytes()


def test_stdout_takes_the_car(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    source = shuffled(tmp_path, root, dags)
    words = [sys.executable, "-m", "hlspub", "export", str(root), "-o", "-", "--from", str(source)]
    piped = run(words, capture_output=True, check=True).stdout
    assert hlspub("export", root, "-o", tmp_path / "b.car", "--from", source).code == 0
    assert piped == (tmp_path / "b.car").read_bytes()
    assert hlspub("export", root, "-o", "-", "--from", source, "--json").code == 64


def test_nothing_stays_when_a_block_is_missing_or_damaged(tmp_path: Path, hlspub: Hlspub) -> None:
    out = tmp_path / "out.car"
    for change, code in ((None, 66), (b"evil", 65)):
        dags = Dags()
        root = dags.tree(FILES)
        if change is None:
            del dags[dags.raw(b"c")]
        else:
            dags[dags.raw(b"c")] = change
        done = hlspub("export", root, "-o", out, "--from", shuffled(tmp_path, root, dags))
        assert (done.code, done.out) == (code, "")
        assert str(Dags().raw(b"c")) in done.err
        assert [path.name for path in tmp_path.iterdir()] == ["in.car"]


def test_a_file_that_is_there_stays_when_the_export_fails(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    out = tmp_path / "out.car"
    out.write_bytes(b"mine")
    del dags[dags.raw(b"c")]
    assert hlspub("export", root, "-o", out, "--from", shuffled(tmp_path, root, dags)).code == 66
    assert out.read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    done = hlspub("export", root, "-o", tmp_path / "no" / "out.car", "--from", shuffled(tmp_path, root, dags))
    assert (done.code, str(tmp_path / "no") in done.err) == (66, True)
