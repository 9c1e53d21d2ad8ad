"""A real ffmpeg that writes a live HLS stream of a test pattern: small pictures, so that two cores are enough."""

import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

RATE = 25  # frames a second
PICTURES = (("360p", 640, 360, 800), ("240p", 426, 240, 400), ("144p", 256, 144, 200))
SMALL = (("a", 256, 144, 200), ("b", 192, 108, 120), ("c", 128, 72, 80))
EXIT_S = 60.0
INTERRUPTED = 255  # the exit code of one that finished early on request


@dataclass(slots=True, eq=False)
class Ffmpeg:
    """Writes `seconds` of stream into `directory`, `speed` times as fast as life.

    One picture and no `master`: a stream of a single media playlist. `hls`: further options of the muxer.
    """

    directory: Path
    seconds: float
    pictures: Sequence[tuple[str, int, int, int]] = SMALL
    segment_s: int = 1
    speed: float = 1.0
    master: bool = True
    fmp4: bool = False
    hls: Sequence[str] = ("-hls_list_size", "0")
    _process: "subprocess.Popen[str] | None" = field(default=None)

    def start(self) -> Self:
        """Start it; returns at once."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def finish(self) -> None:
        """Wait until it has written everything; fails with what it said when it did not."""
        assert self._process is not None
        _, said = self._process.communicate(timeout=self.seconds / self.speed + EXIT_S)
        assert self._process.returncode == 0, said

    def stop(self) -> None:
        """SIGINT, as a person ends it: it finishes segments and playlists, and ends."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        _, said = self._process.communicate(timeout=EXIT_S)
        assert self._process.returncode in (0, INTERRUPTED), said

    def kill(self) -> None:
        """SIGKILL, if it still runs, and reap it: playlists stay without EXT-X-ENDLIST."""
        if self._process is None or self._process.stderr is None or self._process.stderr.closed:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def _command(self) -> list[str]:
        top = self.pictures[0]
        command = [shutil.which("ffmpeg") or "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error"]
        for source in (f"testsrc2=size={top[1]}x{top[2]}:rate={RATE}", "sine=frequency=330:sample_rate=48000"):
            command += ["-readrate", str(self.speed), "-f", "lavfi", "-i", source]
        command += ["-t", str(self.seconds), "-filter_complex", self._scaled()]
        for name, *_ in self.pictures:
            command += ["-map", f"[{name}]", "-map", "1:a"]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-sc_threshold", "0"]
        frames = str(RATE * self.segment_s)
        command += ["-g", frames, "-keyint_min", frames, "-c:a", "aac", "-b:a", "48k", "-ac", "2"]
        for number, (_, _, _, kbits) in enumerate(self.pictures):
            command += [f"-b:v:{number}", f"{kbits}k"]
        command += ["-f", "hls", "-hls_time", str(self.segment_s), *self.hls]
        suffix = "m4s" if self.fmp4 else "ts"
        if self.fmp4:
            command += ["-hls_segment_type", "fmp4"]
        if not self.master:
            return [
                *command,
                "-hls_segment_filename",
                f"{self.directory}/seg_%05d.{suffix}",
                f"{self.directory}/index.m3u8",
            ]
        streams = " ".join(f"v:{number},a:{number},name:{each[0]}" for number, each in enumerate(self.pictures))
        command += ["-master_pl_name", "master.m3u8", "-var_stream_map", streams]
        return [
            *command,
            "-hls_segment_filename",
            f"{self.directory}/%v/seg_%05d.{suffix}",
            f"{self.directory}/%v/index.m3u8",
        ]

    def _scaled(self) -> str:
        split = f"[0:v]split={len(self.pictures)}" + "".join(f"[in{name}]" for name, *_ in self.pictures)
        return ";".join([split, *(f"[in{name}]scale={w}:{h}[{name}]" for name, w, h, _ in self.pictures)])
