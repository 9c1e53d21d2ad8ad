"""A live source for the demo: ffmpeg's test pattern in three renditions, as a transcoder would write it.

Rule: nothing of hlspub's is special here. The pattern carries its own running time; where this ffmpeg can draw text, the
wall clock is drawn as well, so that the delay to the player can be seen.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hlspub.errors import InputError

SEGMENT_S = 2
RATE = 25  # frames a second
_CLOCK = r"drawtext=text='%{localtime\:%T}':x=w-tw-24:y=24:fontsize=48:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=10"


@dataclass(frozen=True, slots=True)
class Rendition:
    """One variant stream: a name, a size and a video bitrate in kbit/s."""

    name: str
    width: int
    height: int
    kbits: int


RENDITIONS = (Rendition("720p", 1280, 720, 2500), Rendition("480p", 854, 480, 1000), Rendition("240p", 426, 240, 400))


def find_ffmpeg() -> str:
    """The ffmpeg on PATH, or the one beside this Python.

    Raises:
        InputError: there is none.
    """
    found = shutil.which("ffmpeg") or shutil.which("ffmpeg", path=str(Path(sys.executable).parent))
    if found is None:
        raise InputError("the demo needs ffmpeg", hint="apt-get install ffmpeg, or start it by `make demo`.")
    return found


def can_draw_text(ffmpeg: str) -> bool:
    """Whether this ffmpeg has the filter and finds a font: tried on one frame."""
    probe = [ffmpeg, "-v", "quiet", "-nostdin", "-f", "lavfi", "-i", "color=size=64x64"]
    probe += ["-vf", "drawtext=text=x", "-frames:v", "1", "-f", "null", "-"]
    return subprocess.run(probe, check=False, capture_output=True, timeout=30).returncode == 0  # noqa: S603 -- our own words


def arguments(ffmpeg: str, directory: Path, *, clock: bool) -> list[str]:
    """The command line that writes the stream into `directory`; SIGINT ends it with EXT-X-ENDLIST."""
    top = RENDITIONS[0]
    draw = f"[0:v]{_CLOCK}," if clock else "[0:v]"
    labels = "".join(f"[{each.name}]" for each in RENDITIONS)
    scaled = ";".join(f"[{each.name}]scale={each.width}:{each.height}[v{each.name}]" for each in RENDITIONS)
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin"]
    command += ["-re", "-f", "lavfi", "-i", f"testsrc2=size={top.width}x{top.height}:rate={RATE}"]
    command += ["-re", "-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:sample_rate=48000"]
    command += ["-filter_complex", f"{draw}split={len(RENDITIONS)}{labels};{scaled}"]
    for each in RENDITIONS:
        command += ["-map", f"[v{each.name}]", "-map", "1:a"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"]
    command += ["-g", str(RATE * SEGMENT_S), "-keyint_min", str(RATE * SEGMENT_S), "-sc_threshold", "0"]
    for number, each in enumerate(RENDITIONS):
        command += [f"-b:v:{number}", f"{each.kbits}k"]
        command += [f"-maxrate:v:{number}", f"{each.kbits}k", f"-bufsize:v:{number}", f"{2 * each.kbits}k"]
    command += ["-c:a", "aac", "-b:a", "96k", "-ac", "2"]
    streams = " ".join(f"v:{number},a:{number},name:{each.name}" for number, each in enumerate(RENDITIONS))
    command += ["-f", "hls", "-hls_time", str(SEGMENT_S), "-hls_list_size", "0", "-hls_flags", "independent_segments"]
    command += ["-master_pl_name", "master.m3u8", "-var_stream_map", streams]
    command += ["-hls_segment_filename", f"{directory}/%v/segment_%05d.ts", f"{directory}/%v/index.m3u8"]
    return command
