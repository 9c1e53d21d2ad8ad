import base64
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import ConfigError
from hlspub.hooks.message import Message
from hlspub.hooks.signing import headers, read_secret
from hlspub.ipld.cid import Cid, Codec
from hlspub.model import Publication
from tests.hooks.receiver import SECRET_TEXT, verify

NODE = Path(__file__).parent.parent / "node"

names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
publications = st.builds(
    Publication,
    stream=st.builds("{}/{}".format, st.from_regex(r"[a-z0-9][a-z0-9_-]*", fullmatch=True), names),
    session=st.just("20261124T100000Z-1"),
    seq=st.integers(1, 2**60),
    root=st.binary().map(lambda data: Cid.of_data(Codec.DAG_PB, data)),
    entry=names,
    final=st.booleans(),
    published_at=st.floats(0, 4e9),
    latency_s=st.floats(0, 1e6),
)
secrets = st.binary(min_size=24, max_size=64)
times = st.floats(0, 4e9)


@given(publications, secrets, times)
def test_whoever_has_the_secret_believes_it(publication: Publication, secret: bytes, now: float) -> None:
    message = Message.of(publication)
    told = headers(secret, message, now)
    assert verify(told, message.body, secret, now) is None
    data = json.loads(message.body)["data"]
    assert (data["stream"], data["seq"], data["root"]) == (publication.stream, publication.seq, str(publication.root))
    assert all(value.isascii() and value.isprintable() and " " not in value for value in told.values())
    assert "." not in told["webhook-id"]  # else what is signed could be cut in two ways


@given(publications, secrets, times, st.data())
def test_nobody_believes_what_was_changed(
    publication: Publication, secret: bytes, now: float, data: st.DataObject
) -> None:
    message = Message.of(publication)
    told = dict(headers(secret, message, now))
    changed = bytearray(message.body)
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= data.draw(st.integers(1, 255))
    assert verify(told, bytes(changed), secret, now) == "not signed"
    assert verify(told | {"webhook-id": told["webhook-id"] + "0"}, message.body, secret, now) == "not signed"
    later = str(int(told["webhook-timestamp"]) + 1)
    assert verify(told | {"webhook-timestamp": later}, message.body, secret, now) == "not signed"
    assert verify(told, message.body, bytes(reversed(secret)) + b"!", now) == "not signed"
    assert verify(told, message.body, secret, now + 301) == "too old"


@given(publications, publications)
def test_an_id_is_one_publications(one: Publication, other: Publication) -> None:
    same = (one.stream, one.seq) == (other.stream, other.seq)
    assert (Message.of(one).id == Message.of(other).id) == same


def test_a_publication_has_the_same_bytes_at_every_try(message: Message) -> None:
    assert Message.of(message.publication) == message
    assert message.id == "main/12"
    assert json.loads(message.body) == {
        "type": "root.published",
        "timestamp": "2025-11-24T16:00:00.250+00:00",
        "data": {
            "stream": "main",
            "session": "20261124T100000Z-1",
            "seq": 12,
            "root": str(message.publication.root),
            "entry": "index.m3u8",
            "final": False,
            "published_at": 1_764_000_000.25,
            "latency_s": 0.0123,
        },
    }


def test_a_signature_that_another_service_made(message: Message) -> None:
    # docs.svix.com/receiving/verifying-payloads/how-manual: secret, id, time and body of its example.
    body = b'{"event_type":"ping","data":{"success":true}}'
    told = Message("msg_loFOjxBNrRLzqYUf", message.publication, body)
    secret = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    assert headers(secret, told, 1_731_705_121.9)["webhook-signature"] == (
        "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="
    )


@pytest.mark.parametrize("text", ["", "short", "whsec_c2hvcnQ=", "whsec_not base64 at all, not at all", "é" * 40])
def test_what_is_no_secret_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secret(text)
    assert not text or text not in f"{caught.value} {caught.value.hint}"


def test_base64_without_the_prefix_is_a_secret_too() -> None:
    assert read_secret(SECRET_TEXT.removeprefix("whsec_")) == read_secret(SECRET_TEXT)


@pytest.mark.node
def test_the_standards_own_library_believes_it_too(message: Message) -> None:
    import time  # noqa: PLC0415 -- the library goes by the real time

    now = time.time()
    good = {"headers": dict(headers(read_secret(SECRET_TEXT), message, now)), "body": message.body.decode()}
    old = {"headers": dict(headers(read_secret(SECRET_TEXT), message, now - 3600)), "body": message.body.decode()}
    changed = good | {"body": message.body.decode().replace("12", "13")}
    asked = json.dumps({"secret": SECRET_TEXT, "messages": [good, changed, old]})
    words = ["node", str(NODE / "webhook.mjs")]
    done = subprocess.run(words, input=asked, cwd=NODE, capture_output=True, text=True, check=True, timeout=60)
    answers = json.loads(done.stdout)["answers"]
    assert answers[0] == json.loads(message.body)
    assert answers[1]["why"] == "No matching signature found"
    assert "too old" in answers[2]["why"]
