from pathlib import Path

import pytest

from hlspub.ipld import car
from hlspub.ipld.block import Block
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.profile import PROFILES
from tests.block_server import serving
from tests.cli.conftest import Hlspub
from tests.dags import Dags

MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nseg1.ts\n#EXTINF:2,\nseg2.ts\n#EXT-X-ENDLIST\n"
FILES = {
    "master.m3u8": b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/index.m3u8\n",
    "v/index.m3u8": MEDIA.encode(),
    "v/seg1.ts": b"one" * 1_000_000,
    "v/seg2.ts": b"two",
}


def packed(tmp_path: Path, root: Cid, dags: Dags) -> Path:
    path = tmp_path / "x.car"
    path.write_bytes(car.node_car(root, [Block(cid, data) for cid, data in dags.items()])[0])
    return path


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES.keys())
def test_a_whole_tree_in_a_car_file(tmp_path: Path, hlspub: Hlspub, profile: object) -> None:
    dags = Dags()
    root = dags.tree(FILES, profile)  # type: ignore[arg-type]
    done = hlspub("verify", f"ipfs://{root}/", "--from", packed(tmp_path, root, dags), "--json")
    assert (done.code, done.err) == (0, "")
    assert done.json == {
        "root": str(root),
        "blocks": len(dags),
        "bytes": sum(map(len, dags.values())),
        "missing": 0,
        "corrupt": 0,
        "playlists": 2,
        "playlists_ok": True,
        "problems": [],
    }


def test_a_whole_tree_at_a_gateway_is_asked_for_once(hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    with serving(dags) as server:
        done = hlspub("verify", root, "--from", server.url)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"{root}: {len(dags)} blocks, 2.9 MiB; 0 missing, 0 corrupt; playlists: 2, all ")
        nodes = [cid for cid in server.asked if cid.codec is Codec.DAG_PB]
        assert len(nodes) == len(set(nodes))


def test_what_the_local_store_holds(tmp_path: Path, hlspub: Hlspub) -> None:
    top = tmp_path / "show"
    for path, data in FILES.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
    config = tmp_path / "config.toml"
    config.write_text(f'data_dir = "{tmp_path}/data"\n')
    published = hlspub("publish", top, "--config", config, "--json")
    assert published.code == 0, published.err
    root = published.json["root"]
    done = hlspub("--config", config, "verify", root, "--json")
    assert (done.code, done.json["missing"], done.json["corrupt"], done.json["playlists_ok"]) == (0, 0, 0, True)
    assert root == hlspub("cid", top).out.strip()
    found = list((tmp_path / "data" / "local").rglob("*.car"))
    victim = max(found, key=lambda path: path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[500_000] ^= 1
    victim.write_bytes(data)
    done = hlspub("verify", root, "--config", config, "--json")
    assert (done.code, done.json["missing"], done.json["corrupt"], done.json["playlists_ok"]) == (65, 0, 1, True)
    victim.unlink()
    done = hlspub("verify", root, "--config", config, "--json")
    assert (done.code, done.json["missing"], done.json["playlists_ok"]) == (65, 1, False)


def test_what_is_missing_or_damaged_is_named(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    gone, bad = dags.raw(b"two"), dags.raw(FILES["v/seg1.ts"][:1_048_576])
    del dags[gone]
    dags[bad] = b"evil"
    done = hlspub("verify", root, "--from", packed(tmp_path, root, dags), "--json")
    assert done.code == 65
    assert (done.json["missing"], done.json["corrupt"], done.json["playlists_ok"]) == (1, 1, True)
    assert done.json["problems"][0] == {"cid": str(gone), "reason": "missing"}
    assert done.json["problems"][1]["cid"] == str(bad)
    for line in (f"missing: {gone}", f"corrupt: {bad}: "):
        assert line in done.err


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"v/seg2.ts": None}, "playlist: v/index.m3u8: it needs v/seg2.ts, which is not there"),
        ({"v/index.m3u8": None}, "playlist: master.m3u8: it needs v/index.m3u8, which is not there"),
        ({"v/index.m3u8": b"<html>"}, "playlist: v/index.m3u8: "),
        ({"v/index.m3u8": MEDIA.replace("seg1", "%73eg3").encode()}, "it needs v/seg3.ts, which is not there"),
    ],
)
def test_a_playlist_that_does_not_find_its_files_is_named(
    tmp_path: Path, hlspub: Hlspub, files: dict[str, bytes | None], said: str
) -> None:
    dags = Dags()
    root = dags.tree({path: data for path, data in (FILES | files).items() if data is not None})
    done = hlspub("verify", root, "--from", packed(tmp_path, root, dags), "--json")
    assert (done.code, done.json["playlists_ok"], done.json["missing"]) == (65, False, 0)
    assert said in done.err


def test_references_that_are_not_required_are_not_asked_for(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    more = '#EXT-X-KEY:METHOD=AES-128,URI="a.key"\n#EXTINF:2,\nhttps://elsewhere.example/x.ts\n#EXT-X-GAP\n#EXTINF:2,\nlost.ts\n'
    root = dags.tree({"i.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{more}".encode()})
    done = hlspub("verify", root, "--from", packed(tmp_path, root, dags), "--json")
    assert (done.code, done.json["playlists_ok"]) == (0, True), done.err


def test_variables_reach_the_playlists_that_import_them(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    master = b'#EXTM3U\n#EXT-X-DEFINE:NAME="x",VALUE="1"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n'
    media = b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-DEFINE:IMPORT="x"\n#EXTINF:2,\nseg{$x}.ts\n'
    for name, code in (("seg1.ts", 0), ("seg2.ts", 65)):
        root = dags.tree({"m.m3u8": master, "v.m3u8": media, name: b"x"})
        assert hlspub("verify", root, "--from", packed(tmp_path, root, dags)).code == code


def test_a_file_is_verified_too(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root, _ = dags.file(bytes(3_000_000))
    done = hlspub("verify", root, "--from", packed(tmp_path, root, dags), "--json")
    assert (done.code, done.json["blocks"], done.json["playlists"], done.json["playlists_ok"]) == (0, 3, 0, True)


def test_a_root_that_is_not_there(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    path = packed(tmp_path, dags.raw(b"x"), dags)
    other = Dags().raw(b"other")
    done = hlspub("verify", other, "--from", path, "--json")
    assert (done.code, done.json["missing"], done.json["blocks"], done.json["playlists_ok"]) == (66, 1, 0, False)
    assert str(other) in done.err


def test_what_cannot_be_read_is_said(tmp_path: Path, hlspub: Hlspub) -> None:
    dags = Dags()
    root = dags.tree(FILES)
    path = packed(tmp_path, root, dags)
    path.write_bytes(path.read_bytes()[:-5])
    assert hlspub("verify", root, "--from", path).code == 65
    assert hlspub("verify", root, "--from", tmp_path / "none.car").code == 66
    assert hlspub("verify", root).code == 66  # no journal
    assert hlspub("verify", "bafynonsense").code == 65
    with serving(dags) as server:
        server.moods = [(403, {}, b"not you")]
        done = hlspub("verify", root, "--from", server.url.replace("http://", "http://me:secret@"))
    assert (done.code, "secret" in done.err, "HTTP 403: not you" in done.err) == (69, False, True)
