import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from hlspub.errors import IpnsError
from hlspub.ipns.key import Key
from tests.ipns.test_name import VECTOR

SEED = bytes(range(32))


def test_the_libp2p_vector_is_read_and_written() -> None:
    assert Key.read(VECTOR).protobuf() == VECTOR


@pytest.mark.parametrize("form", [Key.pem, Key.protobuf, lambda key: base64.b64encode(key.protobuf()) + b"\n"])
def test_every_form_gives_the_same_key_back(form) -> None:  # noqa: ANN001
    key = Key.from_seed(SEED)
    again = Key.read(form(key))
    assert again == key
    assert again.seed() == SEED


def test_nothing_of_the_secret_is_shown() -> None:
    key = Key.from_seed(SEED)
    assert SEED.hex() not in repr(key)
    assert "Ed25519PrivateKey" not in repr(key)
    for form in (SEED, base64.b64encode(SEED), b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(SEED)):
        with pytest.raises(IpnsError) as caught:
            Key.read(form)
        assert base64.b64encode(SEED).decode()[:10] not in str(caught.value) + caught.value.hint


def test_what_is_no_ed25519_key_is_refused() -> None:
    swapped = VECTOR[:36] + bytes(32)
    encrypted = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    other = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for data, why in (
        (swapped, "another"),
        (encrypted, "password"),
        (other, "not Ed25519"),
        (VECTOR[:-1], "no Ed25519"),
    ):
        with pytest.raises(IpnsError, match=why):
            Key.read(data)
    with pytest.raises(IpnsError, match="31 bytes"):
        Key.from_seed(bytes(31))
