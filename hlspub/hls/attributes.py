"""Attribute lists: `NAME=value,NAME="quoted, value"` after a tag's colon.

Rule: one pass, linear in the length of the line whatever it holds, and it never fails: what is no attribute is skipped to the
next comma, unknown names are kept for whoever asks, and of a repeated name the last stands (as in hls.js and ffmpeg).
Source: RFC 8216bis §4.2.
"""

import re

# Possessive, so that a long line without `=` costs one pass and not one for each of its characters.
_ATTRIBUTE = re.compile(r'\s*+([^=,"\s]++)\s*+=\s*+(?:"([^"]*+)"[^,]*+|([^,]*+))(?:,|$)')


def parse(text: str) -> dict[str, str]:
    """The attributes of a list; quotes are taken off, other values are stripped."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if match := _ATTRIBUTE.match(text, at):
            name, quoted, plain = match.groups()
            found[name] = plain.strip().strip('"') if quoted is None else quoted
            at = match.end()
        else:
            comma = text.find(",", at)
            at = comma + 1 if comma >= 0 else len(text)
    return found
