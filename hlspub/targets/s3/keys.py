"""Where things lie in a bucket, below the configured prefix.

    car/CAR-CID.car                 a CAR, named by its own bytes; written once, never changed
    index/WRITER/log/N.idx          where the blocks of CARs lie: one small object a group of puts, numbered without a gap
    index/WRITER/seg/SHA256.idx     the same, merged
    index/WRITER/manifest.json      which segments there are, and the first N that is in none of them
    root/ROOT-CID                   a root that stays; its bytes say since when
    stream/NAME/log/SEQ.json        one publication; written once (NAME: see `folder_of`)
    stream/NAME/head.json           the newest publication, and who moves it
    gc/removing.json                the CARs that a gc is about to remove; only while it does

Rule: readers find everything from the names of the writers and the streams, of which there are few; no reader ever lists CARs.
A writer is one data directory; so writers never wait for one another, and a store that ignores conditions is safe too.
"""

import re

from hlspub.errors import CidError
from hlspub.ipld.cid import Cid, Codec

WRITERS = "index/"
STREAMS = "stream/"
CARS = "car/"
ROOTS = "root/"
PROBES = "probe/"
REMOVING = "gc/removing.json"
_CAR = ".car"
_ODD = re.compile(rb"[^A-Za-z0-9._-]")
_ESCAPED = re.compile(rb"=([0-9A-F]{2})")


def car(digest: bytes) -> str:
    """The CAR of that sha2-256 digest."""
    return f"{CARS}{Cid.of_digest(Codec.CAR, digest)}{_CAR}"


def digest_of(key: str) -> bytes | None:
    """The digest that a CAR's key names; None for a key that is none of ours."""
    name = key.removeprefix(CARS)
    if not key.startswith(CARS) or not name.endswith(_CAR) or "/" in name:
        return None
    try:
        cid = Cid.parse(name.removesuffix(_CAR))
    except CidError:
        return None
    return cid.digest if cid.codec is Codec.CAR else None


def log_entry(writer: str, number: int) -> str:
    """The `number`-th object of a writer's index."""
    return f"{WRITERS}{writer}/log/{number:010}.idx"


def segment(writer: str, digest: bytes) -> str:
    """A merged part of a writer's index."""
    return f"{WRITERS}{writer}/seg/{digest.hex()}.idx"


def manifest(writer: str) -> str:
    """What a writer's index consists of."""
    return f"{WRITERS}{writer}/manifest.json"


def root_of(key: str) -> Cid | None:
    """The root that a mark's key names; None for a key that is none of ours."""
    try:
        cid = Cid.parse(key.removeprefix(ROOTS))
    except CidError:
        return None
    return cid if key == root(cid) else None


def root(cid: Cid) -> str:
    """The mark of a root that stays."""
    return f"{ROOTS}{cid}"


def folder_of(stream: str) -> str:
    """A stream's folder: its name, with `=XX` for each byte that is no letter, digit, `-`, `_` or `.`: one level for all."""
    return _ODD.sub(lambda byte: b"=%02X" % byte[0][0], stream.encode()).decode()


def stream_of(folder: str) -> str | None:
    """The stream of that folder; None for a folder that is none of ours."""
    try:
        stream = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), folder.encode()).decode()
    except UnicodeDecodeError:
        return None
    return stream if folder_of(stream) == folder else None


def head(stream: str) -> str:
    """A stream's newest publication."""
    return f"{STREAMS}{folder_of(stream)}/head.json"


def publication(stream: str, seq: int) -> str:
    """A stream's `seq`-th publication."""
    return f"{STREAMS}{folder_of(stream)}/log/{seq:010}.json"


def publications(stream: str) -> str:
    """Where a stream's publications lie."""
    return f"{STREAMS}{folder_of(stream)}/log/"
