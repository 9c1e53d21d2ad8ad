"""Names whose 64-bit hashes begin alike: what makes a HAMT deep."""

from functools import cache

import mmh3

# bits alike at the start of the hash -> names; found by search, and for 55 and 64 bits by turning murmur3 around
PAIRS: dict[int, tuple[str, str]] = {
    24: ("seg_13019433.ts", "seg_12688167.ts"),
    32: ("seg_08930963.ts", "seg_11411224.ts"),
    40: ("seg_04759330.ts", "seg_00645209.ts"),
    44: ("seg_20208907.ts", "seg_03756041.ts"),
    55: ("Gz+U2}7-p~<S~bIm", "@TPtK)dFu#-k;$?E"),
}
SAME = ("Gz+U2}7-p~<S~bIm", "2w]a]X__AeqM!:M)")  # all 64 bits


def hashed(name: str) -> int:
    return mmh3.hash64(name.encode(), signed=False)[0]


def alike(one: str, other: str) -> int:
    """How many bits at the start of two names' hashes are the same."""
    return 64 - (hashed(one) ^ hashed(other)).bit_length()


@cache
def beside(name: str, bits: int, count: int) -> tuple[str, ...]:
    """`count` short names whose hashes begin with the same `bits` bits as that of `name`."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        other = f"n{number}"
        if alike(name, other) >= bits:
            found.append(other)
        number += 1
    return tuple(found)
