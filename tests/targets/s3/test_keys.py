from hypothesis import given
from hypothesis import strategies as st

from hlspub.targets.s3 import keys


@given(stream=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_streams_folder_is_one_level_and_leads_back(stream: str) -> None:
    folder = keys.folder_of(stream)
    assert "/" not in folder
    assert folder.isascii()
    assert keys.stream_of(folder) == stream


@given(folder=st.text(max_size=12))
def test_a_folder_that_is_none_of_ours_is_passed_over(folder: str) -> None:
    stream = keys.stream_of(folder)
    assert stream is None or keys.folder_of(stream) == folder


def test_a_plain_name_stands_as_it_is() -> None:
    assert keys.head("main") == "stream/main/head.json"
    assert keys.head("shows/one") == "stream/shows=2Fone/head.json"
