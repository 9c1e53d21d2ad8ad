"""Which root a set of files has: by hlspub's own blocks, and by js-ipfs."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hlspub.hls.archive import Archive
from hlspub.hls.edit import add_endlist
from hlspub.hls.scan import scan
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.spool.pack import pack_bytes
from tests.support.writer import Writer

PROFILE = "unixfs-v1-2025"
TIMEOUT_S = 120.0
NODE = Path(__file__).parents[1] / "node"


def root_of(files: Mapping[str, bytes]) -> str:
    """The root of these files, each at its path."""
    profile = PROFILES[PROFILE]
    packed = {path: pack_bytes(data, profile)[1] for path, data in files.items()}
    return str(Tree.build(profile, ((path, one.cid, one.tsize) for path, one in packed.items())).root().cid)


def ended(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as hlspub publishes them at the end of a session: media playlists without EXT-X-ENDLIST get one."""
    return {path: add_endlist(data) if b"#EXTINF" in data else data for path, data in files.items()}


def recording(writer: Writer) -> bytes:
    """What an undisturbed session makes of a media playlist that slid."""
    archive = Archive()
    versions = [writer.playlist(count, endlist=False) for count in range(1, writer.number + 1)]
    for text in (*versions, writer.playlist(writer.number, endlist=True)):
        archive.feed(text, scan(text, "index.m3u8"))
    return archive.render()


def js_ipfs(directory: Path) -> str:
    """What npm's ipfs-unixfs-importer makes of a directory under the same profile."""
    words = ["node", str(NODE / "import.mjs"), PROFILE, str(directory)]
    done = subprocess.run(words, cwd=NODE, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["root"])
