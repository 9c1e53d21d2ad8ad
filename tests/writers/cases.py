"""The table of writers and modes: which command writes, and what is true of what is published then."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

from tests.support.programs import (
    KEY,
    KEY_NAME,
    Commands,
    debian_ffmpeg,
    extras,
    ffmpeg,
    gstreamer,
    low_latency,
    packager,
    shaka,
)

SECONDS = 8
WINDOW = ("-hls_list_size", "5")
ALL = ("-hls_list_size", "0")
MPEG_TS, FMP4 = "seg_%05d.ts", "seg_%05d.m4s"

Make = Callable[[Path, int], Commands]
"""(directory, seconds) → the commands of one run."""


@dataclass(frozen=True, slots=True)
class Case:
    """One writer in one mode.

    `runs`: seconds of each run of the same command; a run before the last is killed (SIGKILL) when it has listed that many
    segments. `sessions`: how many come of them, in each stream.
    """

    writer: str
    mode: str
    make: Make
    runs: tuple[int, ...] = (SECONDS,)
    sessions: int = 1
    signal: bool = False  # the end has to be told
    retention: str = "archive"
    needs: tuple[str, ...] = ()  # markers
    silent: str = ""  # a file that holds the stream back while it is live, so that no root is expected then
    key: str = ""  # the content key's name: no root has it
    no_chromium: str = ""  # why Chromium cannot play it
    compare: bool = True  # files keep their bytes once they are closed
    live_tag: str = ""  # a tag that playlists have only while the stream is live
    tag: str = ""  # a tag that stays
    absent: str = ""  # a file that no root has
    late: bool = False  # playlists come at the end only
    layout: str = "single"
    streams: tuple[str, ...] = ()  # what the layout makes of the directory
    table_only: bool = False  # too much for every test run: `python -m tests.writers` has it

    @property
    def name(self) -> str:
        """As in a test's name."""
        kept = "" if self.retention == "archive" else f" {self.retention}"
        return f"{self.writer} {self.mode}{kept}".replace(" ", "-")


def _ffmpeg(program: Callable[[], str], muxer: Sequence[str], segment: str = MPEG_TS, **more: object) -> Make:
    def make(directory: Path, seconds: int) -> Commands:
        return ffmpeg(directory, program(), seconds, muxer, segment=segment, **more)  # type: ignore[arg-type]

    return make


def _inside(program: Callable[[], str], muxer: Sequence[str], segment: str = MPEG_TS) -> Make:
    """Run in the directory itself: some file names of ffmpeg's are relative to where it runs, or are listed as given."""

    def make(directory: Path, seconds: int) -> Commands:
        directory.mkdir(exist_ok=True)
        return [["env", "-C", str(directory), *ffmpeg(Path(), program(), seconds, muxer, segment=segment)[0]]]

    return make


def _of_ffmpeg(writer: str, program: Callable[[], str], needs: tuple[str, ...]) -> list[Case]:
    case = partial(Case, writer, needs=needs)
    make = partial(_ffmpeg, program)
    fmp4 = ("-hls_segment_type", "fmp4")
    group = "v:0,agroup:sound v:1,agroup:sound a:0,agroup:sound,default:yes"
    master = ("-master_pl_name", "master.m3u8", "-var_stream_map")
    append = ("-hls_flags", "append_list")
    return [
        case("sliding window", make(WINDOW)),
        case("sliding window", make(WINDOW), retention="window"),
        case("delete_segments", make((*WINDOW, "-hls_flags", "delete_segments"))),
        case("temp_file", make((*WINDOW, "-hls_flags", "temp_file"))),
        case("event", make((*ALL, "-hls_playlist_type", "event"))),
        case("vod", make(("-hls_playlist_type", "vod")), late=True),
        case("fMP4", make((*WINDOW, *fmp4), FMP4)),
        case(
            "audio group",
            make(
                (*WINDOW, *master, group),
                "%v/seg_%05d.ts",
                outputs=("-map", "0:v", "-map", "0:v", "-map", "1:a"),
                name="%v/index.m3u8",
            ),
        ),
        case(
            "WebVTT",
            make(
                (*WINDOW, *master, "v:0,a:0,s:0,sgroup:subs"),
                "v%v_%05d.ts",
                outputs=("-map", "0:v", "-map", "1:a", "-map", "2:s"),
                name="v%v.m3u8",
                subtitles=True,
            ),
        ),
        case(
            "AES-128",
            _inside(program, (*WINDOW, "-hls_enc", "1", "-hls_enc_key", KEY, "-hls_enc_key_url", KEY_NAME)),
            key=KEY_NAME,
            no_chromium="the key stays at home",
        ),
        case("append_list", make((*WINDOW, *append)), (4, SECONDS)),
        case(
            "strftime directories",
            _inside(
                program,
                (*WINDOW, "-strftime", "1", "-strftime_mkdir", "1", "-hls_flags", "second_level_segment_index"),
                "%Y-%m-%d/%H-%M-%S/seg_%%05d.ts",
            ),
        ),
        case("single_file", make((*ALL, "-hls_flags", "single_file"), "all.ts"), silent="all.ts", compare=False),
        case(
            "dash muxer",
            make(("-f", "dash", "-seg_duration", "1", "-hls_playlist", "1"), name="out.mpd"),
        ),
        case("omit_endlist", make((*WINDOW, "-hls_flags", "omit_endlist")), signal=True),
    ]


NESTED, FLAT = ("one", "two"), ("cam1", "cam10", "cam1_low")


def _side_by_side(directory: Path, seconds: int) -> Commands:
    """A stream in each subdirectory."""
    for name in NESTED:
        (directory / name).mkdir(exist_ok=True)
    return [*chain(*(ffmpeg(directory / name, debian_ffmpeg(), seconds, WINDOW) for name in NESTED))]


def _in_one_directory(directory: Path, seconds: int) -> Commands:
    """Streams beside one another, with the segment names that ffmpeg gives by itself: cam10.ts is cam1's.

    The playlists keep all, because a stream is found at the third version of its playlist only.
    """
    each = (ffmpeg(directory, debian_ffmpeg(), seconds, ALL, name=f"{name}.m3u8", segment=None) for name in FLAT)
    return [*chain(*each)]


_TESTED_AGAIN = {
    *("ffmpeg-5.1-sliding-window", "ffmpeg-8-fMP4", "GStreamer-hlssink2", "Shaka-Packager-LIVE", "script-low-latency"),
    *("ffmpeg-5.1-vod", "ffmpeg-5.1-single_file", "ffmpeg-5.1-flat"),
}
_NOT_AGAIN = {
    "append_list": "that is its killed and again",
    **dict.fromkeys(("steering", "delta updates", "assets"), "their script is that of the low latency case"),
}
"""Modes that are not killed, and why."""


def _again(cases: list[Case]) -> list[Case]:
    """Those that can be killed while they write and started again.

    That makes two sessions; where playlists come at the end only, nobody knows of the first run, and it makes one.
    """
    return [
        replace(
            case,
            mode=f"{case.mode} killed and again",
            runs=(4, SECONDS),
            sessions=1 if case.late else 2,
            compare=False,
            table_only=case.name not in _TESTED_AGAIN,
        )
        for case in cases
        if case.mode not in _NOT_AGAIN and case.retention == "archive"
    ]


def _table() -> list[Case]:
    def extra(mode: str, **more: str) -> Case:
        return Case("script", mode, partial(extras, mode=mode.replace(" ", "-")), **more)  # type: ignore[arg-type]

    new = partial(shaka, "ffmpeg")
    shaken, gst = ("shaka",), ("gstreamer",)
    cases = [
        *_of_ffmpeg("ffmpeg 5.1", debian_ffmpeg, ()),
        *_of_ffmpeg("ffmpeg 8", new, shaken),
        Case("GStreamer", "hlssink2", gstreamer, needs=gst),
        Case("GStreamer", "hlssink2", gstreamer, needs=gst, retention="window"),
        Case("Shaka Packager", "VOD", partial(packager, kind="VOD"), needs=shaken, late=True),
        Case("Shaka Packager", "LIVE", partial(packager, kind="LIVE"), needs=shaken, signal=True, compare=False),
        Case("ffmpeg 5.1", "nested", _side_by_side, layout="nested", streams=NESTED),
        Case("ffmpeg 5.1", "flat", _in_one_directory, layout="flat", streams=FLAT),
        Case("script", "low latency", low_latency, live_tag="#EXT-X-PART:"),
        extra("steering", tag="#EXT-X-CONTENT-STEERING", absent="steering.json"),
        extra("delta updates", absent="video/delta.m3u8"),
        extra("assets", tag="#EXT-X-DATERANGE", absent="video/assets.json"),
    ]
    return [*cases, *_again(cases)]


CASES = _table()
