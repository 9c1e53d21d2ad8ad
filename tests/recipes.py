"""What the UnixFS vectors are made of: `tests/vectors/unixfs.json`, one vector a line, and the recipes it names.

A recipe stands for bytes (`content`), for files with content (`files`) or for links (`links`); `tests/vectors/README.md`
says what each kind means and where the expected values come from.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from hlspub.ipld.cid import Cid, Codec
from hlspub.ipld.dagpb import Link

VECTORS: tuple[dict[str, Any], ...] = tuple(
    json.loads((Path(__file__).parent / "vectors" / "unixfs.json").read_text(encoding="utf-8"))
)
PIECE = 1 << 20  # bytes that a recipe yields at a time


def vectors(kind: str) -> list[dict[str, Any]]:
    """All vectors of one type."""
    return [vector for vector in VECTORS if vector["type"] == kind]


def content(recipe: dict[str, Any]) -> Iterator[bytes]:
    """A file's bytes in pieces of `PIECE` bytes, the last one shorter; none for an empty file."""
    match recipe["kind"]:
        case "utf8":
            yield recipe["text"].encode()
        case "pattern":
            turn = bytes((j * 31 + 7 + recipe["seed"]) % 251 for j in range(251))
            long = turn * (PIECE // 251 + 2)
            yield from (long[at % 251 : at % 251 + size] for at, size in _pieces(recipe["size"]))
        case "sha256ctr":
            for at, size in _pieces(recipe["size"]):
                digests = (
                    sha256(f"{recipe['seed']}:{j}".encode()).digest() for j in range(at // 32, (at + size + 31) // 32)
                )
                yield b"".join(digests)[:size]
        case "chacha20":
            key = sha256(recipe["seed"].encode()).digest()
            stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
            yield from (stream.update(bytes(size)) for _, size in _pieces(recipe["size"]))
        case kind:
            raise ValueError(kind)


def whole(recipe: dict[str, Any]) -> bytes:
    """A file's bytes at once."""
    return b"".join(content(recipe))


def files(recipe: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The files of a tree: path and content recipe."""
    match recipe["kind"]:
        case "list":
            yield from ((entry["path"], entry["content"]) for entry in recipe["list"])
        case "hls":
            yield from _hls(recipe)
        case "kubo-names":
            stream = whole({"kind": "chacha20", "seed": recipe["seed"], "size": 1 << 20})
            letters, at = recipe["alphabet"], 0
            for i in range(recipe["count"]):
                size = recipe["last_name_len" if i == recipe["count"] - 1 else "name_len"]
                yield "".join(letters[byte % len(letters)] for byte in stream[at : at + size]), recipe["content"]
                at += size
        case kind:
            raise ValueError(kind)


def links(parts: list[dict[str, Any]], profile: str) -> Iterator[Link]:
    """The synthetic links of a `dirlinks` or `incremental` vector."""
    for part in parts:
        codec = Codec(part.get("codec", Codec.DAG_PB))
        if part["kind"] == "range":
            named = [
                (part["name"] % i, part["tsize_base"] + part["tsize_step"] * i % part["tsize_mod"])
                for i in range(part["start"], part["start"] + part["count"])
            ]
        else:
            named = [(name, part["tsize"]) for name in part["names"]]
        for name, tsize in named:
            digest = sha256(name.encode()).digest()
            cid = Cid.v0_of_digest(digest) if profile == "unixfs-v0-2015" else Cid.of_digest(codec, digest)
            yield Link(name, cid, tsize)


def _pieces(size: int) -> Iterator[tuple[int, int]]:
    return ((at, min(PIECE, size - at)) for at in range(0, size, PIECE))


def _hls(recipe: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    bandwidth = {name: 5_000_000 if name == "1080p" else 4_000_000 for name in recipe["renditions"]}
    variants = "".join(f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth[name]}\n{name}/index.m3u8\n" for name in bandwidth)
    yield "master.m3u8", {"kind": "utf8", "text": "#EXTM3U\n" + variants}
    numbers = range(1, recipe["segs"] + 1)
    for r, name in enumerate(recipe["renditions"]):
        listed = "".join(f"#EXTINF:2.0,\nseg_{i:05d}.ts\n" for i in numbers)
        yield f"{name}/index.m3u8", {"kind": "utf8", "text": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n" + listed}
        for i in numbers:
            size = recipe["seg_size"] + i * 188 + r
            yield f"{name}/seg_{i:05d}.ts", {"kind": "pattern", "size": size, "seed": (i * 7 + r) % 251}
