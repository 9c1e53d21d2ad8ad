import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID, multibase

from hlspub.errors import IpnsError
from hlspub.ipld.cid import Cid, Codec
from hlspub.ipns.key import Key
from hlspub.ipns.name import Name

# The peer ID of the libp2p specifications' test vectors for Ed25519 (peer-ids, "Test vectors").
VECTOR = bytes.fromhex(
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cac"
    "f6010f0e42d474fce27e"
)


@given(st.binary(min_size=32, max_size=32))
def test_a_name_and_its_text_are_one(seed: bytes) -> None:
    name = Key.from_seed(seed).name
    text = str(name)
    assert text.startswith("k51")
    assert len(text) == 62
    assert Name.parse(text) == name


@given(st.binary(min_size=32, max_size=32))
def test_multiformats_reads_the_same_key_out_of_it(seed: bytes) -> None:
    name = Key.from_seed(seed).name
    cid = CID.decode(str(name))
    assert cid.codec.name == "libp2p-key"
    assert cid.hashfun.name == "identity"
    assert bytes(cid.raw_digest) == b"\x08\x01\x12\x20" + name.public


def test_every_spelling_is_read() -> None:
    name = Key.read(VECTOR).name
    raw = b"\x00\x24\x08\x01\x12\x20" + name.public
    peer = multibase.encode(raw, "base58btc")[1:]
    assert peer.startswith("12D3Koo")
    for text in (str(name), peer, name.cid.text("b"), name.cid.text("z"), name.cid.text("f")):
        assert Name.parse(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k51",
        "12D3Koo",
        "12D3Koo0",
        "example.com",
        "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        str(Cid.of_data(Codec.LIBP2P_KEY, b"an RSA key")),
        str(Cid.of_inline(Codec.LIBP2P_KEY, b"\x08\x01\x12\x20short")),
        str(Cid.of_inline(Codec.RAW, b"\x08\x01\x12\x20" + bytes(32))),
        "k" * 1000,
    ],
)
def test_what_is_no_ed25519_name_is_refused(text: str) -> None:
    with pytest.raises(IpnsError):
        Name.parse(text)


def test_a_signature_is_checked() -> None:
    key = Key.from_seed(bytes(32))
    signature = key.sign(b"data")
    assert key.name.verifies(signature, b"data")
    assert not key.name.verifies(signature, b"date")
    assert not key.name.verifies(b"", b"data")
    assert not Key.from_seed(bytes(31) + b"\x01").name.verifies(signature, b"data")
