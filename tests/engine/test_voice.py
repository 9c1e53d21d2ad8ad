import itertools

from hlspub.engine.voice import CALM_S, LONGEST_S, Voice


def said(voice: Voice, times: range, reason: str = "down") -> list[int]:
    return [at for at in times if voice.speaks(reason, float(at))]


def test_a_lasting_trouble_is_said_at_once_and_then_ever_less_often() -> None:
    voice = Voice()
    assert said(voice, range(600)) == [0, 60, 180, 420]
    assert voice.lasts_s(600.0) == 600.0
    day = said(Voice(), range(0, 86_400, 10))
    assert len(day) < 32
    assert max(b - a for a, b in itertools.pairwise(day)) <= LONGEST_S


def test_another_reason_is_said_at_once_but_not_without_end() -> None:
    voice = Voice()
    assert voice.speaks("refused", 0.0)
    assert voice.speaks("401", 1.0)
    assert not voice.speaks("refused", 2.0)
    assert sum(voice.speaks(f"request {number}", 3.0) for number in range(100)) == 3


def test_its_end_is_said_once_and_only_when_it_was_said() -> None:
    voice = Voice()
    assert not voice.ends(0.0)
    assert voice.speaks("down", 1.0)
    assert voice.ends(2.0)
    assert not voice.ends(3.0)


def test_what_comes_and_goes_is_one_trouble() -> None:
    voice, lines = Voice(), 0
    for at in range(600):
        lines += voice.speaks("down", float(at)) + voice.ends(at + 0.5)
    assert lines == 8
    assert voice.speaks("down", 600.0 + CALM_S + 1)
    assert voice.lasts_s(600.0 + CALM_S + 1) == 0.0
