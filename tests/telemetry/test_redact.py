import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from hlspub.ipld.cid import Cid, Codec
from hlspub.telemetry.redact import REDACTED, clean, clean_item, clean_text, is_secret_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://u:p@host:8080/a/b?X-Amz-Signature=s3cr3t#part", "https://host:8080/a/b"),
        ("https://host/a?b=c, then http://other/x?y", "https://host/a then http://other/x"),
        ("GET /ipfs/bafy?filename=private.ts HTTP/1.1", "GET /ipfs/bafy HTTP/1.1"),
        ("https://host?token=t", "https://host"),
        ("see https://host/a. Really?", "see https://host/a. Really?"),
        ("s3://key:secret@bucket/name", "s3://bucket/name"),
        ("https://a@b@host/x", "https://host/x"),
        (
            'HTTP Request: POST https://rpc/up?auth=1 "HTTP/1.1 200 OK"',
            'HTTP Request: POST https://rpc/up "HTTP/1.1 200 OK"',
        ),
        ("what? nothing here", "what? nothing here"),
    ],
)
def test_urls_lose_what_may_be_secret(text: str, expected: str) -> None:
    assert clean_text(text) == expected


@given(
    st.sampled_from(["http", "HTTPS", "s3", "wss"]),
    st.text(st.characters(exclude_characters="\"'<>/?#@", exclude_categories=["Z", "C"]), min_size=1),
    st.text(st.characters(exclude_characters="\"'<>", exclude_categories=["Z", "C"]), min_size=8),
)
def test_no_query_and_no_user_info_survives(scheme: str, user: str, secret: str) -> None:
    mark = "S3CR3T"
    shown = clean_text(f"failed: {scheme}://{user}{mark}@host/path?{secret}{mark}#{mark} after 3 tries")
    assert mark not in shown
    assert shown.startswith("failed: ")
    assert shown.endswith("host/path after 3 tries")


@pytest.mark.parametrize(
    "name",
    ["secret", "s3_secret", "secret_access_key", "access-key", "apiKey", "api_key", "token", "Authorization", "password",
     "private_key", "Set-Cookie", "X-Amz-Signature", "passphrase", "credential"],
)  # fmt: skip
def test_names_that_sound_like_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert clean_item(name, "hunter2") == REDACTED
    assert clean_item(name, ["hunter2"]) == REDACTED


@pytest.mark.parametrize("name", ["key", "publish_keys", "path", "stream", "cid", "pass_s", "signal"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)
    assert clean_item(name, "main") == "main"


def test_an_absent_secret_is_seen_to_be_absent() -> None:
    assert clean_item("token", None) is None
    assert clean_item("has_token", value=True) is True


def test_every_depth_is_cleaned() -> None:
    value = {"request": {"headers": [("x", "https://u:p@h/?q=1")], "api_key": "hunter2"}, "n": 3}
    assert clean(value) == {"request": {"headers": [["x", "https://h/"]], "api_key": REDACTED}, "n": 3}


def test_what_has_no_plain_form_is_shown_as_its_text() -> None:
    cid = Cid.of_data(Codec.RAW, b"")
    assert clean(cid) == str(cid)
    assert clean(SecretStr("hunter2")) == REDACTED
    assert clean(b"\x00hunter2") == "[8 bytes]"
    assert clean(ValueError("at https://u:p@h/?q")) == "at https://h/"
