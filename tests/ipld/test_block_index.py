from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import DataError
from hlspub.ipld import block_index
from hlspub.ipld.block import BlockAt
from hlspub.ipld.block_index import Spot, encode, entries, entries_of, find, key_of, page_span, pages, search
from hlspub.ipld.cid import Cid, Codec

CAR = sha256(b"a car").digest()
OTHER = sha256(b"another car").digest()


def at(number: int) -> BlockAt:
    return BlockAt(Cid.of_data(Codec.RAW, str(number).encode()), number * 7, number + 1)


def looked_up(key: bytes, data: bytes) -> tuple[Spot | None, int]:
    """By `search`, as one who has the object and reads its pages; and how many pages that took."""
    number = block_index.count(data)
    asking, read = search(key, number), 0
    try:
        page = next(asking)
        while True:
            start, end = page_span(page, number)
            read += 1
            page = asking.send(data[start:end])
    except StopIteration as done:
        return done.value, read


@given(st.sets(st.integers(0, (1 << 32) - 2), max_size=50))
def test_every_block_is_found_and_no_other(numbers: set[int]) -> None:
    data = encode(entries_of(CAR, map(at, numbers)))
    for number in numbers:
        spot = Spot(CAR, number * 7, number + 1)
        key = key_of(at(number).cid)
        assert find(key, data) == looked_up(key, data)[0] == spot
    absent = key_of(Cid.of_data(Codec.RAW, b"absent"))
    assert find(absent, data) is None
    assert looked_up(absent, data)[0] is None


def test_a_large_index_is_searched_by_about_one_page() -> None:
    numbers = range(100_000)
    data = encode(entries_of(CAR, map(at, numbers)))
    assert pages(len(numbers)) > 90
    steps = [looked_up(key_of(at(number).cid), data) for number in range(0, 100_000, 97)]
    assert all(spot is not None for spot, _ in steps)
    assert sum(read for _, read in steps) / len(steps) < 1.5
    assert max(read for _, read in steps) <= 3


def test_of_two_places_the_first_stays() -> None:
    data = encode([*entries_of(OTHER, [at(1)]), *entries_of(CAR, [at(1), at(2)])])
    assert block_index.count(data) == 2
    spot = find(key_of(at(1).cid), data)
    assert spot is not None
    assert spot.car == OTHER


def test_entries_survive_a_merge() -> None:
    one, two = (encode(entries_of(CAR, [at(number)])) for number in (1, 2))
    assert encode([*entries(one), *entries(two)]) == encode(entries_of(CAR, [at(2), at(1)]))


def test_an_identity_cid_needs_no_entry() -> None:
    assert block_index.count(encode(entries_of(CAR, [BlockAt(Cid.of_inline(Codec.RAW, b"x"), 1, 1)]))) == 0


@pytest.mark.parametrize("data", [b"", b"hlsidx1\n", b"<html>" + bytes(40), encode(entries_of(CAR, [at(1)]))[:-1]])
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(DataError):
        list(entries(data))


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=200), max_size=40), st.integers(0, 50_000))
def test_a_search_ends_whatever_it_is_given(key: bytes, answers: list[bytes], number: int) -> None:
    asking = search(key, number)
    try:
        page = next(asking)
        for turn in range(pages(number) + 2):
            assert 0 <= page < pages(number)
            data = answers[turn % len(answers)] if answers else b""
            page = asking.send(data[: len(data) // block_index.ENTRY_SIZE * block_index.ENTRY_SIZE])
    except StopIteration:
        return
    raise AssertionError("it goes on")
