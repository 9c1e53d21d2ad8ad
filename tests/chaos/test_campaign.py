"""The crash campaign's short form: the same fight, with fewer kills; `make chaos` is the long one."""

from pathlib import Path

import pytest

from tests.chaos.campaign import EVERY_S, Campaign, fought
from tests.chaos.deck import Deck
from tests.chaos.transcoders import TRANSCODERS

IN_SHORT = ("restarted", "wrapped", "hasty")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in IN_SHORT else pytest.mark.slow) for name in TRANSCODERS]
)
def test_whatever_is_killed_nothing_is_lost(tmp_path: Path, name: str) -> None:
    outcome = fought(name, 1, tmp_path / "campaign", steps=80, kills=6, compare=False, deck=Deck())
    assert outcome.faults == []
    assert outcome.kills >= 6


def test_every_declared_step_is_one_that_the_daemon_takes(tmp_path: Path) -> None:
    """A step that no run passes would never be died at, and nobody would know."""
    deck = Deck()
    outcome = Campaign(
        "sliding", 1, tmp_path / "campaign", steps=80, kills=0, every_s=EVERY_S, kept_s=2.0, deck=deck
    ).run()
    assert outcome.faults == []
    assert deck.never(deck.passed) == []
