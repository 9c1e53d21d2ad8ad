"""Text: a playlist's bytes as the lines that count.

Rule: lines end with LF or CRLF and nothing else (RFC 8216bis §4.1); blank lines and blanks around a line carry nothing. Bytes
that are not UTF-8 travel as surrogate escapes (PEP 383) and come back unchanged.
"""

from collections.abc import Iterator

BOM = "\ufeff"
BLANKS = " \t\r"
PIECE = 1 << 16  # characters; as lines they fit a processor's cache, and a long playlist never lies split up as a whole


def decode(data: bytes) -> tuple[str, bool]:
    """The text, and whether it is UTF-8."""
    try:
        return data.decode(), True
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape"), False


def encode(text: str) -> bytes:
    """The bytes that `decode` made `text` of."""
    return text.encode("utf-8", "surrogateescape")


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of about PIECE characters, each but the last with its last line's end."""
    at = 0
    while end := text.find("\n", at + PIECE) + 1:
        yield text[at:end]
        at = end
    if at < len(text):
        yield text[at:]


def split_lines(text: str) -> list[str]:
    """The lines that are not blank, without blanks around them."""
    # A search for one character costs a tenth of one for two, and most playlists hold none of these.
    blanks = [blank for blank in BLANKS if blank in text]
    if blanks:
        text = text.replace("\r\n", "\n")
        text = f"\n{text}\n"
    lines = text.split("\n")
    if not blanks and "\n\n" not in text:  # then a blank line can only be the first or the last
        return lines[not lines[0] : len(lines) - (not lines[-1])]
    if any(f"\n{blank}" in text or f"{blank}\n" in text for blank in blanks):
        lines = [line.strip(BLANKS) for line in lines]
    return list(filter(None, lines))
