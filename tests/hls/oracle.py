"""A plain reader, line by line, that the scanner's shortcuts are held against; and pieces to build playlists of."""

from pathlib import Path

from hypothesis import strategies as st

from hlspub.errors import PlaylistError
from hlspub.hls.playlist import Playlist, Source
from hlspub.hls.reading import Reading
from hlspub.hls.scan import scan
from hlspub.hls.tags import read_line

CORPUS = Path(__file__).parents[1] / "corpus"
PATH = "live/i.m3u8"
HEADER = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n"


def playlists_of_the_corpus() -> list[tuple[str, bytes]]:
    """(case/path, bytes) of every playlist."""
    found = [path for path in sorted(CORPUS.glob("*/dir/**/*")) if path.suffix.lower() in {".m3u8", ".m3u"}]
    return [(str(path.relative_to(CORPUS)), path.read_bytes()) for path in found]


def line_by_line(data: bytes, path: str = PATH) -> Playlist:
    """What `tags` alone makes of a whole media playlist."""
    reading = Reading(path, {})
    for line in data.decode().split("\n"):
        read_line(reading, line.strip(" \t\r"))
    assert reading.kind is not None
    return reading.playlist(reading.kind, Source(0, b""))


def outcome(data: bytes, path: str = PATH) -> Playlist | str:
    """The playlist, or why there is none."""
    try:
        return scan(data, path)
    except PlaylistError as why:
        return str(why)


durations = st.sampled_from(["4.000000", "3.96", "4", "0.5", "nan", "-1", "inf", "1_0", "", "1e400", "4.0 "])
titles = st.sampled_from(["", "", "", "a title", "2,5"])
names = st.sampled_from(
    [
        "s{}.ts",
        "s{}.ts",
        "s{}.ts",
        "a/s{}.ts",
        "../s{}.ts",
        "./s{}.ts",
        "s{}.ts?t=1",
        "s%20{}.ts",
        "https://x.example/{}.ts",
    ]
)
before = st.sampled_from(
    [
        "#EXT-X-DISCONTINUITY\n",
        "#EXT-X-GAP\n",
        '#EXT-X-KEY:METHOD=AES-128,URI="k.key"\n',
        "#EXT-X-KEY:METHOD=NONE\n",
        '#EXT-X-MAP:URI="init.mp4"\n',
        '#EXT-X-PART:DURATION=1,URI="p.m4s"\n',
        "#EXT-X-BYTERANGE:100\n",
        "#EXT-X-BYTERANGE:100@50\n",
        "#EXT-X-MEDIA-SEQUENCE:7\n",
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n",
        "#EXT-X-BITRATE:900\n",
        '#EXT-X-DEFINE:NAME="n",VALUE="v"\n',
        "#EXT-X-ENDLIST\n",
        "# a comment\n",
        "\n",
        "stray.ts\n",
        "{$n}.ts\n",
    ]
)


@st.composite
def bodies(draw: st.DrawFn, most: int = 120) -> str:
    """Segments in runs, now and then with something else between them."""
    text: list[str] = []
    number = 0
    for _ in range(draw(st.integers(0, 6))):
        text += draw(st.lists(before, max_size=2))
        name, duration, title = draw(names), draw(durations), draw(titles)
        dated = draw(st.sampled_from(["", "", "before", "after"]))
        ranged = draw(st.sampled_from(["", "", "", "@0", "between", "behind"]))
        for _ in range(draw(st.integers(0, most))):
            date = f"#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:{number % 60:02}Z\n"
            text.append(date if dated == "before" else "")
            text.append(f"#EXTINF:{duration},{title}\n")
            text.append(date if dated == "after" else "")
            text.append(
                f"#EXT-X-BYTERANGE:{number}{ranged if ranged == '@0' else ''}\n" if ranged in {"@0", "between"} else ""
            )
            text.append((name.replace("{}", "") if ranged else name).format(number) + "\n")
            text.append(f"#EXT-X-BYTERANGE:{number}\n" if ranged == "behind" else "")
            number += 1
    return "".join(text)
