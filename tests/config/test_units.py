import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.config.units import DURATION_PATTERN, SIZE_PATTERN, parse_duration, parse_size

DURATIONS = {
    "10s": 10.0,
    "0s": 0.0,
    "500ms": 0.5,
    "1.5s": 1.5,
    "1h30m": 5400.0,
    "2d": 172800.0,
    "1d1h1m1s1ms": 90061.001,
    "5m": 300.0,
}
NOT_DURATIONS = [
    "",
    "10",
    "s",
    "-1s",
    "1s1h",
    "1s1s",
    "10 s",
    " 10s",
    "10s ",
    "10sec",
    "1e3s",
    ".5s",
    "1.s",
    "10S",
    "1h30",
]
SIZES = {"0B": 0, "64MiB": 67108864, "1.5KiB": 1536, "500kB": 500000, "2 GiB": 2147483648, "1TB": 10**12}
NOT_SIZES = ["", "64", "64M", "MiB", "-1B", "1  MiB", "64mib", " 1B", "1B ", "1e3B"]


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
    assert re.match(DURATION_PATTERN, text)


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_a_duration_without_unit_or_order_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration has a unit"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert re.match(SIZE_PATTERN, text)


@pytest.mark.parametrize("text", NOT_SIZES)
def test_a_size_without_unit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a size has a unit"):
        parse_size(text)


@given(
    days=st.integers(0, 99), hours=st.integers(0, 23), minutes=st.integers(0, 59), milliseconds=st.integers(0, 59999)
)
def test_units_add_up(days: int, hours: int, minutes: int, milliseconds: int) -> None:
    text = f"{days}d{hours}h{minutes}m{milliseconds / 1000:.3f}s"
    assert parse_duration(text) == pytest.approx(days * 86400 + hours * 3600 + minutes * 60 + milliseconds / 1000)


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_by_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except ValueError as why:
            assert "has a unit" in str(why)  # noqa: PT017 -- any other ValueError is a defect
