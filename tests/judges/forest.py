"""Trees of files, random but for their seed, on a disk."""

from pathlib import Path
from random import Random

MIB = 1 << 20
EDGES = [0, 1, 188, 255, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 17]
NAMES = [
    "a",
    "seg_%05d.ts",
    "index.m3u8",
    "é",
    "e\u0301",
    "日本語",
    "\U0001d11e",
    "\uffee",
    "Z z",
    "%41",
    "~",
    ".dot",
    "x" * 200,
]


def grow(top: Path, seed: int) -> Path:
    """A few dozen files in nested directories; lengths on the edges of chunks, names of all sorts."""
    random = Random(seed)
    places = [top]
    for i in range(random.randint(1, 6)):
        places.append(random.choice(places) / random.choice([f"d{i}", f"日{i}", f".h{i}", f"{i}"]))
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for i in range(random.randint(1, 6)):
            name = random.choice(NAMES).replace("%05d", f"{i:05d}")
            size = random.choice(EDGES) if random.random() < 0.4 else random.randint(0, 4000)
            if not (place / name).is_dir():
                (place / name).write_bytes(random.randbytes(size))
    return top


def crowd(top: Path, numbers: range) -> Path:
    """Many small files in a directory in a directory; called again with the next numbers, it grows."""
    (top / "v").mkdir(parents=True, exist_ok=True)
    for i in numbers:
        (top / "v" / f"seg_{i:05d}.ts").write_bytes(bytes((i % 251,)) * (0, 1, 200, 20_000)[i % 4])
    return top
