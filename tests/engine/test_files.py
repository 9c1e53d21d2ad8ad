import pytest

from hlspub.engine.files import Confirmations, FileVersion, Quorum
from hlspub.model import FileIdentity, FileKind
from tests.engine.stage import pack

IDENTITY = FileIdentity(1, 2, 3, 4, 5)


def file(name: str) -> FileVersion:
    return FileVersion(name, 1, FileKind.MEDIA, pack(name.encode()), IDENTITY)


@pytest.mark.parametrize(
    ("required", "need", "confirmed", "satisfied"),
    [
        ("ab", 2, "a", False),
        ("ab", 2, "ab", True),
        ("ab", 1, "b", True),
        ("ab", 1, "c", False),  # a target that does not count
        ("", 0, "", True),
    ],
)
def test_a_quorum_counts_only_the_required(required: str, need: int, confirmed: str, *, satisfied: bool) -> None:
    assert Quorum(frozenset(required), need).satisfied(confirmed) is satisfied


def test_a_file_is_held_when_enough_targets_keep_its_car_and_is_then_forgotten() -> None:
    confirmations = Confirmations(Quorum(frozenset("ab"), 2))
    one, same = file("x"), file("x")
    confirmations.expect(one.car, one)
    confirmations.expect(same.car, same)
    assert not confirmations.confirm(one.car, "a")
    assert not one.held
    assert confirmations.confirm(one.car, "b")
    assert one.held
    assert same.held
    assert len(confirmations) == 0
    assert not confirmations.confirm(one.car, "b")


def test_what_was_confirmed_before_a_restart_counts() -> None:
    confirmations = Confirmations(Quorum(frozenset("ab"), 2))
    one = file("x")
    confirmations.expect(one.car, one, ["a", "b"])
    assert one.held


def test_an_identity_comes_back_as_it_was() -> None:
    one = file("x")
    one.identity = FileIdentity(2**63, 2**62, 5, -1, 1795489475723051000)
    assert one.identity == FileIdentity(2**63, 2**62, 5, -1, 1795489475723051000)
