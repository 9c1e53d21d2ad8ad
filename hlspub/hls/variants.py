"""Variant streams: bandwidth, resolution, codecs and names, for reports.

Rule: nothing here decides anything. The attributes come from the m3u8 library, which may fail on any playlist and with any
exception (an unknown attribute is enough), so whatever it raises becomes `problem` and never leaves this module. Its values are
turned into our own at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import m3u8


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A variant stream, or a rendition that EXT-X-MEDIA lists (then `bandwidth` is 0).

    `uri` is as it stands in the playlist, `bandwidth` in bits a second, `frame_rate` in frames a second; 0, "" and None stand
    for what is not said.
    """

    uri: str
    kind: str  # variant, i-frame, or the rendition's TYPE in lower case
    name: str = ""
    language: str = ""
    bandwidth: int = 0
    average_bandwidth: int = 0
    resolution: tuple[int, int] | None = None  # width, height
    codecs: str = ""
    frame_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Variants:
    """What a multivariant playlist offers; `problem` says why it could not be read, if so."""

    variants: tuple[Variant, ...] = ()
    problem: str = ""


def read_variants(data: bytes) -> Variants:
    """The variant streams and renditions of a multivariant playlist, in their order; never raises."""
    try:
        found: Any = m3u8.loads(data.decode("utf-8", "surrogateescape"))
        return Variants((*_streams(found.playlists), *_iframes(found.iframe_playlists), *_renditions(found.media)))
    except Exception as why:  # noqa: BLE001 -- the library's failures have no common base class
        return Variants(problem=f"{type(why).__name__}: {why}")


def _streams(playlists: Iterable[Any]) -> Iterable[Variant]:
    for playlist in playlists:
        info = playlist.stream_info
        yield Variant(
            uri=str(playlist.uri),
            kind="variant",
            bandwidth=int(info.bandwidth or 0),
            average_bandwidth=int(info.average_bandwidth or 0),
            resolution=_resolution(info.resolution),
            codecs=info.codecs or "",
            frame_rate=float(info.frame_rate or 0),
        )


def _iframes(playlists: Iterable[Any]) -> Iterable[Variant]:
    for playlist in playlists:
        info = playlist.iframe_stream_info
        yield Variant(
            uri=str(playlist.uri),
            kind="i-frame",
            bandwidth=int(info.bandwidth or 0),
            average_bandwidth=int(info.average_bandwidth or 0),
            resolution=_resolution(info.resolution),
            codecs=info.codecs or "",
        )


def _renditions(media: Iterable[Any]) -> Iterable[Variant]:
    for rendition in media:
        if rendition.uri:
            yield Variant(
                uri=str(rendition.uri),
                kind=str(rendition.type or "").lower(),
                name=rendition.name or "",
                language=rendition.language or "",
            )


def _resolution(value: Any) -> tuple[int, int] | None:
    return (int(value[0]), int(value[1])) if value else None
