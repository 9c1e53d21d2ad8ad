"""Which root a set of files has, by hlspub's own blocks, by its command, by Kubo, and by js-ipfs."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hlspub.hls.edit import add_endlist
from hlspub.ipld.profile import PROFILES
from hlspub.ipld.tree import Tree
from hlspub.spool.pack import pack_bytes

PROFILE = "unixfs-v1-2025"
TIMEOUT_S = 60.0
NODE = Path(__file__).parents[1] / "node"


def root_of(files: Mapping[str, bytes]) -> str:
    """The root of these files, each at its path."""
    profile = PROFILES[PROFILE]
    packed = {path: pack_bytes(data, profile)[1] for path, data in files.items()}
    return str(Tree.build(profile, ((path, one.cid, one.tsize) for path, one in packed.items())).root().cid)


def ended(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files as hlspub publishes them at the end of a session: media playlists without EXT-X-ENDLIST get one."""
    return {path: add_endlist(data) if b"#EXTINF" in data else data for path, data in files.items()}


def kubo(directory: Path, home: Path) -> str:
    """What `ipfs add -r --only-hash` says of a directory, under the same profile. `home`: for Kubo's repository."""
    program = os.environ.get("HLSPUB_IPFS") or shutil.which("ipfs") or "ipfs"
    environ = {**os.environ, "IPFS_PATH": str(home)}

    def ipfs(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
        return done.stdout.strip()

    ipfs("init", "--profile=test")
    ipfs("config", "profile", "apply", PROFILE)
    return ipfs("add", "-r", "--only-hash", "-Q", str(directory))
