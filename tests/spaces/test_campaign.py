"""The w3up campaign's short form; `python -m tests.spaces` is the long one."""

from pathlib import Path

import pytest

from tests.spaces.campaign import PARTS, fought

pytestmark = [pytest.mark.ffmpeg, pytest.mark.w3up, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("part", PARTS)
def test_a_stream_in_trouble(tmp_path: Path, part: str) -> None:
    outcome = fought([part], 1, tmp_path)
    assert outcome.faults == []
    assert min(outcome.hits.values()) >= 1
    if part == "blobs":
        assert outcome.again >= 3  # one for each lost reply
