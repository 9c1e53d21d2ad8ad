"""Durations and sizes as people write them: "10s", "1h30m", "64MiB".

Rule: a number without its unit is refused, so that nobody guesses. Durations are seconds (float), sizes bytes (int).
"""

import re

DURATION_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}  # seconds
SIZE_UNITS = {  # bytes
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
DURATION_PATTERN = r"^(\d+(\.\d+)?(d|h|ms|m|s))+$"
SIZE_PATTERN = rf"^\d+(\.\d+)? ?({'|'.join(SIZE_UNITS)})$"
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s)")
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(SIZE_UNITS)})")


def parse_duration(text: str) -> float:
    """Seconds from a text like "10s", "500ms" or "1h30m"; larger units stand first, each once.

    Raises:
        ValueError: not a duration; the message says how one is written.
    """
    parts = _DURATION_PART.findall(text)
    units = [unit for _, unit in parts]
    in_order = sorted(set(units), key=list(DURATION_UNITS).index) == units
    if not parts or not in_order or "".join(number + unit for number, unit in parts) != text:
        raise ValueError('a duration has a unit: "10s", "500ms", "1h30m", "2d"')
    return sum(float(number) * DURATION_UNITS[unit] for number, unit in parts)


def parse_size(text: str) -> int:
    """Bytes from a text like "64MiB" or "1.5 GB".

    Raises:
        ValueError: not a size; the message says how one is written.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError('a size has a unit: "64MiB", "500kB", "2GiB"')
    number, unit = match.groups()
    return round(float(number) * SIZE_UNITS[unit])
