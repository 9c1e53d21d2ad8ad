from hypothesis import assume, given
from hypothesis import strategies as st

from hlspub.hls.learning import Kept, KeptRange, KeptSegment, Learner
from hlspub.hls.scan import scan
from tests.hls.writers import Segment, Style, samples, streams, styles, window

PATH = "live/i.m3u8"


def learned(learner: Learner, versions: list[bytes]) -> list[Kept]:
    return [kept for data in versions for kept in learner.feed(data, scan(data, PATH))]


@given(st.data(), streams(), styles, st.integers(2, 8), st.integers(1, 30))
def test_the_first_and_last_segment_and_the_ranges_are_all_that_has_to_be_remembered(
    data: st.DataObject, stream: list[Segment], style: Style, size: int, crash: int
) -> None:
    versions = [window(stream, first, last, style) for first, last in data.draw(samples(len(stream), size))]
    assume(crash < len(versions))
    whole = Learner()
    before = learned(whole, versions[:crash])
    segments = [kept for kept in before if isinstance(kept, KeptSegment)]
    ranges = [kept for kept in before if isinstance(kept, KeptRange)]
    resumed = Learner()
    resumed.restore([segments[0], segments[-1], *ranges])
    assert learned(resumed, versions[crash:]) == learned(whole, versions[crash:])
    assert (resumed.first, resumed.last, resumed.target_s) == (whole.first, whole.last, whole.target_s)


def test_a_playlist_that_has_ended_and_lists_all_needs_no_archive() -> None:
    text = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n0.ts\n#EXTINF:2,\n1.ts\n#EXT-X-ENDLIST\n"
    late = text.replace(b"#EXTINF:2,\n0.ts\n", b"").replace(b":2\n#EXTINF", b":2\n#EXT-X-MEDIA-SEQUENCE:1\n#EXTINF", 1)
    learner = Learner()
    assert learner.is_complete(scan(text, PATH))
    learner.feed(text, scan(text, PATH))
    assert learner.is_complete(scan(text, PATH))
    assert not learner.is_complete(scan(late, PATH))
    assert not learner.is_complete(scan(text.replace(b"#EXT-X-ENDLIST\n", b""), PATH))
