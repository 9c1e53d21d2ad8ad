"""A real Kubo, driven by its command line, without a daemon and offline."""

import os
import subprocess
from pathlib import Path


class Kubo:
    """One repository; `profile` is a profile of IPIP-499 as Kubo knows them."""

    def __init__(self, repo: Path, profile: str) -> None:
        self._env = {**os.environ, "IPFS_PATH": str(repo), "IPFS_TELEMETRY": "off"}
        self("init", "--empty-repo", f"--profile=test,{profile}")

    def __call__(self, *words: Path | str) -> bytes:
        command = ["ipfs", "--offline", *map(str, words)]
        done = subprocess.run(command, env=self._env, capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
        return done.stdout

    def root_of(self, path: Path) -> str:
        """What `ipfs add` computes, hidden files and all."""
        words = ("add", "--only-hash", "--recursive", "--hidden", "--empty-dirs=false", "--quieter")
        return self(*words, path).decode().strip()
