"""RFC 9110 on text alone; the oracle for ranges is Python's own slicing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hlspub.gateway.semantics import Span, Unsatisfiable, disposition, none_match, parse_range, range_applies

DATA = bytes(range(256)) * 4


@given(st.integers(0, 300), st.integers(0, 1000), st.none() | st.integers(0, 2000))
@example(0, 0, None)
@example(10, 10, None)
@example(10, 9, 9)
def test_an_offset_range_is_a_slice(size: int, first: int, last: int | None) -> None:
    data = DATA[:size]
    field = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert parse_range(field, size) is None
    elif first >= size:
        with pytest.raises(Unsatisfiable):
            parse_range(field, size)
    else:
        span = parse_range(field, size)
        assert span is not None
        assert data[span.start : span.end] == data[first : None if last is None else last + 1]
        assert span.content_range(size) == f"bytes {span.start}-{span.end - 1}/{size}"


@given(st.integers(0, 300), st.integers(0, 1000))
@example(0, 5)
@example(10, 10)
def test_a_suffix_range_is_a_slice_from_the_end(size: int, length: int) -> None:
    data = DATA[:size]
    if length == 0:
        with pytest.raises(Unsatisfiable):
            parse_range("bytes=-0", size)
    elif size == 0:
        assert parse_range(f"bytes=-{length}", size) is None
    else:
        span = parse_range(f"bytes=-{length}", size)
        assert span is not None
        assert data[span.start : span.end] == data[-length:]


@pytest.mark.parametrize(
    "field",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-2-3", "bytes=0-1,3-2", "bytes=0-1,", "bytes=0-1,x", "items=0-1",
     "bytes 0-1",
     "bytes=+1-2", "bytes=1.5-2", "bytes=\u0661-2", "bytes=0-99999999999999999999", "bytes=0x1-", "=0-1", "bytes= 5-4"],
)  # fmt: skip
def test_what_is_no_range_of_bytes_is_ignored(field: str) -> None:
    assert parse_range(field, 100) is None


@given(st.text(), st.integers(0, 1000))
def test_no_text_breaks_the_parser(field: str, size: int) -> None:
    try:
        span = parse_range(field, size)
    except Unsatisfiable:
        return
    assert span is None or 0 <= span.start < span.end <= size


def test_the_unit_is_case_insensitive_and_spaces_are_allowed() -> None:
    assert parse_range("Bytes= 1-2 ", 100) == Span(1, 3)


@pytest.mark.parametrize(
    ("if_range", "applies"), [(None, True), ('"a"', True), (' "a" ', True), ('W/"a"', False), ('"b"', False),
                              ("Wed, 21 Oct 2015 07:28:00 GMT", False), ("", False)],
)  # fmt: skip
def test_if_range_compares_strongly(if_range: str | None, applies: bool) -> None:
    assert range_applies(if_range, '"a"') is applies


def test_a_weak_tag_never_allows_a_range() -> None:
    assert not range_applies('W/"a"', 'W/"a"')


@given(st.lists(st.text(st.characters(min_codepoint=0x23, max_codepoint=0x7E)), max_size=5))
def test_if_none_match_finds_a_tag_in_any_list(tags: list[str]) -> None:
    field = ", ".join(f'W/"{tag}"' if index % 2 else f'"{tag}"' for index, tag in enumerate(tags))
    for tag in tags:
        assert not none_match(field, f'"{tag}"')
        assert not none_match(field, f'W/"{tag}"')
    assert none_match(field, '"\x21not among them"')


def test_without_if_none_match_everything_is_new() -> None:
    assert none_match(None, '"a"')
    assert not none_match(" * ", '"a"')


@given(st.text())
def test_a_disposition_is_one_header_of_plain_ascii(filename: str) -> None:
    header = disposition(filename, download=False)
    assert header is not None
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2


def test_a_disposition_without_a_name() -> None:
    assert disposition(None, download=False) is None
    assert disposition(None, download=True) == "attachment"
