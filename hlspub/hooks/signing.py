"""Signatures of webhooks: HMAC-SHA256 over id, time and body, in the form that Standard Webhooks gives them.

Rule: pure; the time is handed in. The time is signed with the message, so an old message that somebody sends again is known by
its time, and one that is changed by its signature.

    webhook-id         main/12
    webhook-timestamp  1764172800                  Unix seconds of this try
    webhook-signature  v1,BASE64                   of HMAC-SHA256(secret, "ID.TIMESTAMP.BODY")

Source: standardwebhooks.com, "Signature scheme", "Symmetric".
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from hlspub.errors import ConfigError
from hlspub.hooks.message import Message

_PREFIX: Final = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a secret


def read_secret(text: str) -> bytes:
    """The bytes of a secret, "whsec_" and base64, or base64 alone.

    Raises:
        ConfigError: it is none; nothing of it is quoted.
    """
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not SHORTEST <= len(secret) <= LONGEST:
        raise ConfigError(
            f"the secret is not {_PREFIX} and base64 of {SHORTEST} to {LONGEST} bytes",
            hint=f'Make one: echo "{_PREFIX}$(openssl rand -base64 32)"',
        )
    return secret


def headers(secret: bytes, message: Message, now: float) -> Mapping[str, str]:
    """What goes along with the message's body at Unix time `now`."""
    timestamp = int(now)
    signed = f"{message.id}.{timestamp}.".encode() + message.body
    signature = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
