import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hlspub.errors import DataError
from hlspub.targets.s3.documents import Head, Manifest

NAMES = ["stream", "session", "seq", "root", "entry", "final", "published_at", "settings", "writer", "next", "segments"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=15,
)


@given(data=VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
@example(data=b"[" * 100_000)
@example(data=json.dumps(dict.fromkeys(NAMES, float("inf"))).encode())
@pytest.mark.parametrize("document", [Head, Manifest])
def test_what_stands_in_a_documents_place_is_refused(document: type[Head | Manifest], data: bytes) -> None:
    try:
        document.decode(data, "key")
    except DataError as why:
        refused = why
    else:
        return
    assert "key" in str(refused)
