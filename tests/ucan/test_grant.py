"""What a proof allows, in sentences; and what is no proof."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from hlspub.errors import DataError
from hlspub.ipld import car
from hlspub.ipld.block import Block
from hlspub.ucan.grant import Purpose, allows, expiry, problems, spaces, told
from hlspub.ucan.principal import Signer
from hlspub.ucan.proof import Proof
from hlspub.ucan.token import Capability, Claims, Token

SPACE, AGENT, BETWEEN = (Signer.from_seed(bytes([number]) * 32) for number in range(3))
NOW, LATER = 1_800_000_000, 1_900_000_000
NEEDED = ("space/blob/add", "upload/add")


def delegation(issuer: Signer, audience: Signer, *can: str, **given: Any) -> Token:
    capabilities = tuple(Capability(one, SPACE.did) for one in can)
    return Token.issue(issuer, Claims(issuer.did, audience.did, capabilities, given.pop("expires", LATER), **given))


def proof_of(*tokens: Token) -> Proof:
    return Proof.from_car(car.node_car(tokens[-1].cid, [one.block for one in tokens])[0])


def found(proof: Proof, **purpose: Any) -> list[str]:
    return list(problems(proof, replace(Purpose(AGENT.did, None, NEEDED, NOW), **purpose)))


@pytest.mark.parametrize(
    ("given_ability", "wanted", "covers"),
    [
        ("*", "upload/add", True),
        ("upload/*", "upload/add", True),
        ("space/*", "space/blob/add", True),
        ("space/blob/*", "space/blob/add", True),
        ("upload/add", "upload/add", True),
        ("upload/add", "upload/addition", False),
        ("upload/*", "uploads/add", False),
        ("upload/list", "upload/add", False),
    ],
)
def test_which_ability_covers_which(given_ability: str, wanted: str, *, covers: bool) -> None:
    assert allows(given_ability, wanted) is covers


def test_a_proof_that_serves() -> None:
    proof = proof_of(delegation(SPACE, AGENT, "space/*", "upload/add"))
    assert found(proof) == []
    assert spaces(proof) == (SPACE.did,)
    assert expiry(proof) == LATER


def test_a_chain_that_serves_and_its_earliest_end() -> None:
    first = delegation(SPACE, BETWEEN, "*", expires=LATER - 5)
    proof = proof_of(first, delegation(BETWEEN, AGENT, *NEEDED, proofs=(first.cid,)))
    assert found(proof) == []
    assert expiry(proof) == LATER - 5
    assert list(told(proof)) == [
        f"{SPACE.did} lets {BETWEEN.did} * on {SPACE.did} until 2030-03-17 17:46 UTC",
        f"{BETWEEN.did} lets {AGENT.did} space/blob/add, upload/add on {SPACE.did} until 2030-03-17 17:46 UTC",
    ]


def test_another_audience_names_both() -> None:
    [said] = found(proof_of(delegation(SPACE, BETWEEN, *NEEDED)))
    assert BETWEEN.did in said
    assert AGENT.did in said


def test_a_missing_ability_is_named() -> None:
    [said] = found(proof_of(delegation(SPACE, AGENT, "space/blob/add")))
    assert "upload/add" in said
    assert "space/blob/add" not in said


def test_another_space_is_named() -> None:
    [said] = found(proof_of(delegation(SPACE, AGENT, *NEEDED)), space=BETWEEN.did)
    assert BETWEEN.did in said


def test_its_time() -> None:
    [ended] = found(proof_of(delegation(SPACE, AGENT, *NEEDED, expires=NOW)))
    assert "expired on 2027-01-15 08:00 UTC" in ended
    [early] = found(proof_of(delegation(SPACE, AGENT, *NEEDED, not_before=NOW + 1)))
    assert "not valid before" in early
    assert found(proof_of(delegation(SPACE, AGENT, *NEEDED, expires=None))) == []


def test_the_time_of_what_lies_below_counts() -> None:
    first = delegation(SPACE, BETWEEN, "*", expires=NOW - 1)
    [said] = found(proof_of(first, delegation(BETWEEN, AGENT, *NEEDED, proofs=(first.cid,))))
    assert SPACE.did in said
    assert "expired" in said


def test_what_was_not_given_cannot_be_handed_on() -> None:
    first = delegation(SPACE, BETWEEN, "space/blob/add")
    said = found(proof_of(first, delegation(BETWEEN, AGENT, *NEEDED, proofs=(first.cid,))))
    assert any("hands on upload/add" in one for one in said)


def test_a_link_that_is_not_there() -> None:
    first = delegation(SPACE, BETWEEN, "*")
    said = found(proof_of(delegation(BETWEEN, AGENT, *NEEDED, proofs=(first.cid,))))
    assert any(str(first.cid) in one for one in said)


def test_an_issuer_that_is_no_key_is_left_to_the_service() -> None:
    claims = Claims("did:mailto:example.com:me", AGENT.did, tuple(Capability(one, SPACE.did) for one in NEEDED), LATER)
    unsigned = claims.block(b"\x80\xa0\x03\x00")
    assert found(Proof.from_car(car.node_car(unsigned.cid, [unsigned])[0])) == []


def test_a_forged_signature() -> None:
    token = delegation(SPACE, AGENT, *NEEDED)
    forged = replace(token.claims, expires=None).block(token.signature)
    [said] = found(Proof.from_car(car.node_car(forged.cid, [forged])[0]))
    assert "signature" in said


def test_a_proof_in_quotes_and_over_lines() -> None:
    data = car.node_car((token := delegation(SPACE, AGENT, *NEEDED)).cid, [token.block])[0]
    text = base64.b64encode(data).decode()
    assert Proof.parse(f"'{text[:40]}\n{text[40:]}'\n").delegation == token


@pytest.mark.parametrize("text", ["", "m", "secret!", "MgCsecret", base64.b64encode(b"secret").decode(), "mAYIEAA"])
def test_what_is_no_proof_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(DataError) as caught:
        Proof.parse(text)
    assert "secret" not in str(caught.value)


@given(st.data())
def test_a_damaged_proof_is_refused_or_has_a_problem(data: st.DataObject) -> None:
    token = delegation(SPACE, AGENT, *NEEDED)
    whole = car.node_car(token.cid, [token.block])[0]
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DataError):
        Proof.from_car(bytes(damaged))


@pytest.mark.parametrize("text", ["", "secret", base64.b64encode(b"secret").decode(), "Mg" + "A" * 91])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(DataError) as caught:
        Signer.parse(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("made", [Ed25519PrivateKey.generate(), X25519PrivateKey.generate()], ids=["Ed25519", "X25519"])
def test_a_key_in_pem(made: Ed25519PrivateKey | X25519PrivateKey) -> None:
    text = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    if isinstance(made, X25519PrivateKey):
        with pytest.raises(DataError, match="not Ed25519"):
            Signer.parse(text)
    else:
        assert Signer.parse(text) == Signer.from_seed(made.private_bytes_raw())
    locked = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
    for wrong in (locked, text[:60], "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----"):
        with pytest.raises(DataError) as caught:
            Signer.parse(wrong)
        assert wrong[30:60] not in str(caught.value)


def test_a_key_does_not_show_its_secret() -> None:
    assert AGENT.secret_text()[4:20] not in repr(AGENT)
    assert AGENT.secret_text().startswith("MgC")


def test_a_block_that_is_no_token() -> None:
    block = Block(delegation(SPACE, AGENT, "*").cid, b"\xa0")
    with pytest.raises(DataError):
        Token.read(block)
