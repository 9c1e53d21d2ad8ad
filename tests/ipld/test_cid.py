import hashlib

import multiformats
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import CidError
from hlspub.ipld.cid import MAX_INLINE, Cid, Codec, Hash

V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
V1 = "bafybeie7awsrlvivztmd4ks5nvjhsydbmoyhifv7q4uht7ugi2u6xyvivu"
NAME = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
MULTICODEC = {
    Codec.CBOR: "cbor",
    Codec.RAW: "raw",
    Codec.DAG_PB: "dag-pb",
    Codec.DAG_CBOR: "dag-cbor",
    Codec.LIBP2P_KEY: "libp2p-key",
    Codec.DAG_JSON: "dag-json",
    Codec.JSON: "json",
    Codec.CAR: "car",
}
BASES = {"b": "base32", "B": "base32upper", "k": "base36", "z": "base58btc", "f": "base16", "u": "base64url"}
codecs = st.sampled_from(Codec)


@given(codecs, st.binary(max_size=100))
def test_version_1_agrees_with_multiformats(codec: Codec, data: bytes) -> None:
    cid = Cid.of_data(codec, data)
    judge = multiformats.CID("base32", 1, MULTICODEC[codec], multiformats.multihash.digest(data, "sha2-256"))
    assert (cid.raw, str(cid)) == (bytes(judge), str(judge))
    assert Cid.parse(str(judge)) == Cid.from_bytes(bytes(judge)) == cid
    assert (cid.version, cid.codec, cid.hash, cid.digest) == (1, codec, Hash.SHA2_256, hashlib.sha256(data).digest())
    assert cid.inline is None


@given(st.binary(min_size=32, max_size=32))
def test_version_0_agrees_with_multiformats(digest: bytes) -> None:
    cid = Cid.v0_of_digest(digest)
    judge = multiformats.CID("base58btc", 0, "dag-pb", ("sha2-256", digest))
    assert (cid.raw, str(cid)) == (bytes(judge), str(judge))
    assert Cid.parse(str(judge)) == Cid.from_bytes(bytes(judge)) == cid
    assert (cid.version, cid.codec, cid.hash, cid.digest) == (0, Codec.DAG_PB, Hash.SHA2_256, digest)


@given(codecs, st.binary(max_size=MAX_INLINE), st.sampled_from(["identity", "sha2-512"]))
def test_the_other_hashes_agree_with_multiformats(codec: Codec, data: bytes, kind: str) -> None:
    judge = multiformats.CID("base32", 1, MULTICODEC[codec], multiformats.multihash.digest(data, kind))
    cid = Cid.parse(str(judge))
    assert (cid.raw, str(cid)) == (bytes(judge), str(judge))
    assert (cid.version, cid.codec, cid.digest) == (1, codec, bytes(judge.raw_digest))
    assert cid.inline == (data if kind == "identity" else None)
    if kind == "identity":
        assert Cid.of_inline(codec, data) == cid


@given(st.sampled_from(sorted(BASES)), st.binary(max_size=64))
def test_parses_every_base_and_refuses_another_spelling(base: str, data: bytes) -> None:
    cid = Cid.of_data(Codec.RAW, data)
    text = str(multiformats.CID(BASES[base], 1, "raw", ("sha2-256", cid.digest)))
    assert Cid.parse(text) == cid
    assert cid.text(base) == text
    if base in "bkf":
        with pytest.raises(CidError, match="not a CID"):
            Cid.parse(base + text[1:].upper())


def test_reads_the_name_of_an_ipns_key() -> None:
    cid = Cid.parse(NAME)
    assert (cid.codec, cid.hash, len(cid.digest)) == (Codec.LIBP2P_KEY, Hash.IDENTITY, 36)
    assert cid.text("k") == NAME


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Q",
        "Qm",
        V0[:-1],
        V0 + "1",
        "z" + V0,
        V0[:10] + "0" + V0[11:],
        "b",
        V1[:-1],
        V1 + "a",
        V1[:-1] + "v",
        V1[:20] + V1[20:].upper(),
        " " + V1,
        V1 + "\n",
        V1 + "=",
        "\x00" + Cid.parse(V1).raw.decode("latin1"),
        "é" + V1,
        "b\ud800",
        "z" * 100_000,
        "f00551220" + "00" * 32,  # version 0 in version 1's form
        "f02551220" + "00" * 32,  # version 2
        "f01aa551220" + "00" * 32,  # a codec that is not held
        "f0155121f" + "00" * 31,  # a short digest
        "f01551221" + "00" * 33,  # a long digest
        "f01551114" + "00" * 20,  # sha1
        "f01d5001220" + "00" * 32,  # a codec not in its shortest form
        "f01550081" + "01",  # an inline block that is cut off
        "f0155008101" + "00" * 129,  # an inline block over the bound
    ],
)
def test_refuses_what_is_not_a_cid(text: str) -> None:
    with pytest.raises(CidError) as caught:
        Cid.parse(text)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=80))
def test_bytes_are_read_back_as_they_are_or_refused(data: bytes) -> None:
    try:
        cid = Cid.from_bytes(data)
    except CidError:
        return
    assert cid.raw == data
    assert cid.codec in Codec
    assert Cid.parse(str(cid)) == cid


@given(st.binary(max_size=8), st.sampled_from([V0, V1, NAME, "bafkqaaa"]), st.binary(max_size=40))
def test_reads_at_an_offset(before: bytes, text: str, after: bytes) -> None:
    cid = Cid.parse(text)
    data = before + cid.raw + after
    assert Cid.read(memoryview(data), len(before)) == (cid, len(before) + len(cid.raw))
    for cut in range(len(before), len(before) + len(cid.raw)):
        with pytest.raises(CidError):
            Cid.read(data[:cut], len(before))


@pytest.mark.parametrize("text", [V0, V1, NAME])
def test_bytes_behind_a_cid_are_refused(text: str) -> None:
    with pytest.raises(CidError, match=r"1 bytes behind|not hold|codec|cut off"):
        Cid.from_bytes(Cid.parse(text).raw + b"\x00")


def test_order_is_that_of_the_bytes() -> None:
    cids = [Cid.of_data(Codec.RAW, bytes((n,))) for n in range(50)]
    assert [cid.raw for cid in sorted(cids)] == sorted(cid.raw for cid in cids)
    assert len({Cid.from_bytes(cid.raw) for cid in cids + cids}) == 50


def test_too_much_for_an_inline_cid_is_refused() -> None:
    with pytest.raises(CidError, match="too many"):
        Cid.of_inline(Codec.RAW, bytes(MAX_INLINE + 1))


def test_shows_its_text() -> None:
    assert repr(Cid.parse(V1)) == f"Cid({V1})"
