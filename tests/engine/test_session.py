import pytest

from hlspub.engine.settings import Retention
from hlspub.hls.playlist import Playlist
from hlspub.hls.scan import scan
from hlspub.model import FileIdentity
from hlspub.records import (
    FileSeen,
    FilesPassed,
    FileTaken,
    PlaylistTaken,
    Record,
    ReferenceBound,
    ReferenceClosed,
    ReferenceOpened,
)
from tests.engine.stage import TARGET, Stage, broken, media, multivariant


def kinds(records: list[Record]) -> list[type]:
    return [type(record) for record in records]


def started(**how: bool) -> Stage:
    """Two segments and a playlist that lists them, twice updated so that it is the entry."""
    stage = Stage(**how)
    stage.take("a0.ts", b"a0")
    stage.take("i.m3u8", media(0, ["a0.ts"]))
    stage.take("a1.ts", b"a1")
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts"]))
    return stage


def test_one_more_segment_writes_one_interval_whatever_the_length() -> None:
    stage = Stage()
    names = [f"s{n}.ts" for n in range(500)]
    for name in names:
        stage.take(name, name.encode())
    stage.take("i.m3u8", media(0, names))
    stage.take("s500.ts", b"s500.ts")
    records = stage.take("i.m3u8", media(0, [*names, "s500.ts"]))
    assert kinds(records) == [FileTaken, PlaylistTaken, ReferenceOpened]


def test_a_sliding_window_closes_what_left_and_opens_what_came() -> None:
    stage = started()
    stage.take("a2.ts", b"a2")
    records = stage.take("i.m3u8", media(1, ["a1.ts", "a2.ts"]))
    assert kinds(records) == [FileTaken, PlaylistTaken, ReferenceClosed, ReferenceOpened]
    assert records[2].path == "a0.ts"
    assert records[3].path == "a2.ts"


def test_the_same_bytes_again_are_no_new_version() -> None:
    stage = started()
    records = stage.take("a0.ts", b"a0")
    assert kinds(records) == [FileSeen]
    assert stage.session.files["a0.ts"].version == 1


def test_a_playlist_ahead_of_its_segment_waits_and_its_predecessor_stays() -> None:
    stage = started()
    first = stage.publish()
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts", "a2.ts"]))
    assert stage.publish() == first
    assert stage.course.held_back() == [("i.m3u8", ["a2.ts"])]
    records = stage.take("a2.ts", b"a2")
    assert kinds(records) == [FileTaken, ReferenceBound]
    assert stage.publish() != first
    assert broken(stage.tree(), "i.m3u8") == []


def test_nothing_is_published_before_the_target_has_confirmed() -> None:
    stage = started(slow=True)
    assert stage.publish() is None
    stage.confirm_all()
    assert stage.publish() is not None


def test_the_newest_ready_version_is_chosen_over_newer_ones_that_wait() -> None:
    stage = started()
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts", "a2.ts"]))
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts", "a2.ts", "a3.ts"]))
    stage.take("a2.ts", b"a2")
    stage.publish()
    assert b"a2.ts" in stage.tree()["i.m3u8"]
    assert b"a3.ts" not in stage.tree()["i.m3u8"]


def test_a_segment_that_left_the_window_unseen_holds_back_only_the_versions_that_list_it() -> None:
    stage = started()
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts", "gone.ts"]))
    stage.take("a3.ts", b"a3")
    stage.take("i.m3u8", media(3, ["a3.ts"]))
    stage.publish()
    assert stage.tree()["i.m3u8"] == media(3, ["a3.ts"])


def test_old_text_never_meets_new_bytes_of_a_rewritten_initialization_section() -> None:
    stage = Stage()
    stage.take("init.mp4", b"init 1")
    stage.take("s0.m4s", b"s0")
    text = media(0, ["s0.m4s"], init="init.mp4", end=True)
    stage.take("i.m3u8", text)
    stage.take("init.mp4", b"init 2")
    stage.publish()
    assert stage.tree()["init.mp4"] == b"init 1"
    stage.take("i.m3u8", text, again=True)
    stage.publish()
    assert stage.tree()["init.mp4"] == b"init 2"


def test_a_wrapped_segment_name_waits_for_the_bytes_of_its_new_number() -> None:
    stage = Stage(retention=Retention.WINDOW)
    stage.take("w0.ts", b"number 0")
    stage.take("w1.ts", b"number 1")
    stage.take("i.m3u8", media(0, ["w0.ts", "w1.ts"]))
    stage.take("i.m3u8", media(1, ["w1.ts", "w0.ts"]))  # ahead: w0.ts is being rewritten as number 2
    stage.publish()
    assert stage.tree()["i.m3u8"] == media(0, ["w0.ts", "w1.ts"])
    stage.take("w0.ts", b"number 2")
    stage.publish()
    assert stage.tree()["i.m3u8"] == media(1, ["w1.ts", "w0.ts"])
    assert stage.tree()["w0.ts"] == b"number 2"


def test_a_number_that_moved_without_new_bytes_means_the_same_file() -> None:
    stage = started()
    stage.take("i.m3u8", media(5, ["a0.ts", "a1.ts"]), unchanged=True)
    stage.publish()
    assert stage.tree()["i.m3u8"] == media(5, ["a0.ts", "a1.ts"])


def test_what_an_earlier_run_left_is_not_meant_once_it_is_written_over() -> None:
    """The file was taken, nobody listed it, and now the disk has another: the first listing waits for that one."""
    stage = started()
    stage.take("a2.ts", b"of an earlier run")
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts", "a2.ts"]), found={"a2.ts": FileIdentity(1, 2, 3, 4, 5)})
    assert [i.path for i in stage.session.tracks["i.m3u8"].unmet] == ["a2.ts"]
    stage.take("a2.ts", b"of this run")
    assert not stage.session.is_new_run("i.m3u8", _scan(media(0, ["a0.ts", "a1.ts", "a2.ts", "a3.ts"])))
    stage.publish()
    assert stage.tree()["a2.ts"] == b"of this run"


def test_what_was_taken_while_the_disk_was_looked_at_is_meant() -> None:
    stage = started()
    stage.take("a2.ts", b"of this run")
    identity = stage.session.identity("a2.ts")
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts", "a2.ts"]), found={"a2.ts": identity})
    stage.publish()
    assert stage.tree()["a2.ts"] == b"of this run"


def test_a_name_that_wraps_between_two_looks_is_no_new_run() -> None:
    stage = started()
    stage.take("i.m3u8", media(0, ["a0.ts", "a1.ts"]))
    stage.take("a0.ts", b"number 2")
    assert not stage.session.is_new_run("i.m3u8", _scan(media(1, ["a1.ts", "a0.ts"])))


def test_a_listing_whose_bytes_nobody_saw_does_not_mean_those_that_came_under_its_name_later() -> None:
    stage = started()
    stage.take("i.m3u8", media(0, ["w0.ts", "w1.ts"]))
    stage.take("i.m3u8", media(1, ["w1.ts", "w0.ts"]))
    stage.take("w0.ts", b"number 2")
    bound = {record.from_version for record in stage.records if isinstance(record, ReferenceBound)}
    assert bound == {stage.session.tracks["i.m3u8"].newest.number}


@pytest.mark.parametrize(
    ("why", "before", "rewritten", "after"),
    [
        ("the media sequence went back", media(5, ["a0.ts", "a1.ts"]), None, media(0, ["n0.ts"])),
        ("the last number went back", media(0, ["a0.ts", "a1.ts"]), None, media(0, ["a0.ts"])),
        ("a number means another file", media(0, ["a0.ts", "a1.ts"]), None, media(0, ["b0.ts", "b1.ts", "b2.ts"])),
        ("a number means other bytes", media(0, ["a0.ts", "a1.ts"]), "a0.ts", media(0, ["a0.ts", "a1.ts", "a2.ts"])),
    ],
)
def test_a_new_run_of_the_transcoder_is_seen(why: str, before: bytes, rewritten: str | None, after: bytes) -> None:
    stage = started()
    stage.take("i.m3u8", before, unchanged=True)
    if rewritten:
        stage.take(rewritten, b"of another run")
    assert stage.session.is_new_run("i.m3u8", _scan(after)), why


@pytest.mark.parametrize(
    "after",
    [
        media(0, ["a0.ts", "a1.ts", "a2.ts"]),
        media(1, ["a1.ts", "a2.ts"]),
        media(7, ["a7.ts"]),
        media(0, ["a0.ts", "a1.ts"], end=True),
        multivariant("x.m3u8"),
    ],
)
def test_an_ordinary_update_is_no_new_run(after: bytes) -> None:
    assert not started().session.is_new_run("i.m3u8", _scan(after))


def test_a_file_taken_too_early_that_grew_is_no_new_run() -> None:
    stage = Stage()
    stage.take("a0.ts", b"half", quiet=True)
    stage.take("i.m3u8", media(0, ["a0.ts"]))
    stage.take("a0.ts", b"half and the rest")
    assert not stage.session.is_new_run("i.m3u8", _scan(media(0, ["a0.ts", "a1.ts"])))


def test_keys_are_published_only_on_request_and_never_waited_for() -> None:
    text = (
        b'#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="k.key"\n#EXTINF:2,\ns.ts\n#EXT-X-ENDLIST\n'
    )
    for publish_keys in (False, True):
        stage = Stage(publish_keys=publish_keys)
        stage.take("s.ts", b"s")
        stage.take("i.m3u8", text)
        stage.publish()
        assert sorted(stage.tree()) == ["i.m3u8", "s.ts"]
        if publish_keys:
            stage.take("k.key", b"0123456789abcdef")
            stage.publish()
            assert sorted(stage.tree()) == ["i.m3u8", "k.key", "s.ts"]


def _scan(text: bytes) -> Playlist:
    return scan(text, "i.m3u8")


@pytest.mark.parametrize("retention", Retention)
def test_the_end_waits_for_what_the_final_root_will_hold(retention: Retention) -> None:
    stage = Stage(retention=retention, slow=True)
    stage.take("s0.ts", b"0")
    stage.take("i.m3u8", media(0, ["s0.ts"]))
    stage.take("s1.ts", b"1")
    stage.take("i.m3u8", media(1, ["s1.ts"], end=True))
    old = stage.session.files["s0.ts"].car
    for car in [car for car in stage.pending if car != old]:
        stage.session.confirm(car, TARGET)
    stage.publish()
    assert stage.course.under_way() is (retention is Retention.ARCHIVE)
    stage.session.confirm(old, TARGET)
    assert not stage.course.under_way()
    stage.publish()
    assert ("s0.ts" in stage.tree()) is (retention is Retention.ARCHIVE)


def slid() -> Stage:
    """A window that left `a0.ts` behind; its root is made."""
    stage = started(retention=Retention.WINDOW)
    stage.publish()
    stage.take("a2.ts", b"a2")
    stage.take("i.m3u8", media(1, ["a1.ts", "a2.ts"]))
    return stage


def test_what_a_window_left_behind_is_passed_once_a_root_is_without_it() -> None:
    stage = slid()
    everything = list(stage.session.files)
    assert stage.session.behind(everything) == []
    stage.publish()
    assert stage.session.behind(everything) == ["a0.ts"]
    assert stage.session.pass_by(everything) == [FilesPassed(1, ("a0.ts",))]
    assert "a0.ts" not in stage.session.files
    assert stage.session.pass_by(everything) == []
    assert broken(stage.tree(), "i.m3u8") == []


def test_a_name_that_was_passed_and_comes_again_is_a_new_version() -> None:
    stage = slid()
    stage.publish()
    stage.session.pass_by(["a0.ts"])
    stage.take("i.m3u8", media(2, ["a2.ts", "a0.ts"]))
    assert stage.course.held_back() == [("i.m3u8", ["a0.ts"])]
    taken, bound = stage.take("a0.ts", b"new")
    assert isinstance(taken, FileTaken)
    assert isinstance(bound, ReferenceBound)
    assert taken.version == bound.bound == 2
    stage.publish()
    assert stage.tree()["a0.ts"] == b"new"


def test_an_archive_leaves_nothing_behind() -> None:
    stage = started()
    stage.take("a2.ts", b"a2")
    stage.take("i.m3u8", media(1, ["a1.ts", "a2.ts"]))
    stage.publish()
    assert stage.session.behind(stage.session.files) == []
