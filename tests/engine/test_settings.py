from hypothesis import given
from hypothesis import strategies as st

from hlspub.engine.settings import Retention, TreeSettings


@given(
    st.builds(
        TreeSettings,
        entry=st.text(min_size=1),
        retention=st.sampled_from(Retention),
        include=st.lists(st.text(min_size=1), max_size=3).map(tuple),
        publish_keys=st.booleans(),
    )
)
def test_what_is_recorded_comes_back(settings: TreeSettings) -> None:
    assert TreeSettings.from_json(settings.to_json()) == settings


def test_settings_of_another_version_are_read() -> None:
    assert TreeSettings.from_json('{"retention": "window", "rotate": "1d"}') == TreeSettings(retention=Retention.WINDOW)


def test_globs_are_matched_as_written() -> None:
    settings = TreeSettings(include=("poster.jpg", "art/*.png"))
    assert settings.includes("poster.jpg")
    assert settings.includes("art/a.png")
    assert not settings.includes("Poster.JPG")
    assert not settings.includes("log.txt")
