"""Kept files have their limits, go when nobody needs them, and never because of somebody else's mistake."""

import io
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.shared_runs import CONDITION, config_for
from yoto_core.errors import ConfigError, DataError, PlaceError, RunError
from yoto_core.files import home, write_json
from yoto_core.limits import DAY, MB, OWN_MACHINE, SHARED_SERVER, VARIABLES, Limits, shared
from yoto_core.store import library, runs, storage
from yoto_core.store.labels import Label
from yoto_core.store.status import Status


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in (*VARIABLES.values(), "YOTO_SHARED"):
        monkeypatch.delenv(name, raising=False)


def kept(content, owner="me", name="cells.h5ad", **options):
    return library.keep(io.BytesIO(content), name, owner=owner, **options)


def is_kept(key, shelf="data"):
    return (home() / shelf / f"{key}{'.h5ad' if shelf == 'data' else '.yoto'}").is_file()


def files():
    return sorted(path for path in home().rglob("*") if path.is_file())


def unused_for(key, days):
    """Let the last use of a kept file lie back."""
    for path in (home() / "data").glob(f"{key}*"):
        os.utime(path, (time.time() - days * DAY,) * 2)


def run_of(key, state="done", owner="me"):
    folder = runs.create_run(
        config_for(CONDITION, panel_size=3), data_path=library.find(key)[0], data_name="cells.h5ad", data_digest="x",
        label=Label(name=f"run {state}", owner=owner),
    )  # fmt: skip
    now = time.time()
    write_json(folder / "status.json", Status(state=state, created=now, heartbeat=now, submitted=now).__dict__)
    return folder


# --- limits


def test_without_variables_ones_own_machine_keeps_everything_and_a_shared_server_does_not(monkeypatch):
    assert Limits.from_environment() == Limits(**OWN_MACHINE)
    assert (OWN_MACHINE["kept"], OWN_MACHINE["days"]) == (0, 0)
    monkeypatch.setenv("YOTO_SHARED", "1")
    assert Limits.from_environment() == Limits(**SHARED_SERVER)
    assert all(SHARED_SERVER.values())


@pytest.mark.parametrize("variable", VARIABLES.values())
@pytest.mark.parametrize("value", ["lots", "-1", "1.5", "1e3", "٣", "1 000"])
def test_a_limit_that_is_no_whole_number_is_a_sentence(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=rf"^{variable} is “.*”\. Give a whole number of (megabytes|days), "):
        Limits.from_environment()
    with pytest.raises(ConfigError):
        kept(b"content")


def test_a_limit_of_nothing_is_refused_where_nothing_could_be_uploaded(monkeypatch):
    monkeypatch.setenv("YOTO_UPLOAD_MB", "0")
    with pytest.raises(ConfigError, match=r"^YOTO_UPLOAD_MB is “0”\. Give a whole number of megabytes, 1 or more\.$"):
        Limits.from_environment()
    monkeypatch.setenv("YOTO_UPLOAD_MB", "20")
    monkeypatch.setenv("YOTO_WAITING_MB", "10")
    with pytest.raises(ConfigError, match=r"^YOTO_WAITING_MB is 10 MB, less than one upload of 20 MB\. "):
        Limits.from_environment()


def test_a_large_upload_alone_makes_room_for_itself_in_memory(monkeypatch):
    monkeypatch.setenv("YOTO_UPLOAD_MB", "50000")
    assert Limits.from_environment().waiting == 50_000


@pytest.mark.parametrize("value", ["yes", "true", "TRUE", "2"])
def test_another_word_for_shared_is_said_and_lays_nobody_open(monkeypatch, value):
    monkeypatch.setenv("YOTO_SHARED", value)
    assert shared()
    with pytest.raises(ConfigError, match=rf"^YOTO_SHARED is “{value}”\. Set it to 1 for a server that several people"):
        Limits.from_environment()


def test_limits_are_said_in_words():
    assert Limits(**OWN_MACHINE).sentence() == ""
    assert Limits(**{**OWN_MACHINE, "kept": 50}).sentence() == "At most 4 GB per file, 50 MB on this server."
    assert Limits(**SHARED_SERVER).sentence() == (
        "At most 2 GB per file, 10 GB for all your files, 100 GB on this server."
        " Files are removed 30 days after their last use."
    )


# --- room


def refused_by(monkeypatch, variable, megabytes, content, owner="me", error=PlaceError):
    monkeypatch.setenv(variable, str(megabytes))
    before = files()
    with pytest.raises(error) as caught:
        kept(content, owner=owner, name="large.h5ad")
    assert files() == before  # nothing of it is left
    return str(caught.value)


def test_a_file_larger_than_one_may_be_is_refused(monkeypatch):
    (home() / "data").mkdir(parents=True)
    said = refused_by(monkeypatch, "YOTO_UPLOAD_MB", 1, bytes(3 * MB // 2), error=DataError)
    assert said.startswith("large.h5ad has 1.5 MB, more than the 1 MB that may be uploaded.")


def test_a_file_beyond_all_that_may_be_kept_is_refused(monkeypatch):
    kept(os.urandom(MB), owner="you")
    said = refused_by(monkeypatch, "YOTO_KEPT_MB", 2, bytes(3 * MB // 2))
    assert said == (
        "large.h5ad has 1.5 MB, but 1 MB of the 2 MB for kept files are free."
        " Remove files under Storage on the Data page, then load it again."
    )


def test_models_and_data_share_the_room(monkeypatch):
    kept(os.urandom(MB), shelf="models")
    refused_by(monkeypatch, "YOTO_KEPT_MB", 2, bytes(3 * MB // 2))


def test_a_file_beyond_the_share_of_a_browser_is_refused_to_that_browser_alone(monkeypatch):
    kept(os.urandom(MB))
    said = refused_by(monkeypatch, "YOTO_BROWSER_MB", 2, bytes(3 * MB // 2))
    assert said.startswith("large.h5ad has 1.5 MB, but 1 MB of the 2 MB for your files are free.")
    assert is_kept(kept(bytes(3 * MB // 2), owner="you"))


def test_what_is_there_already_needs_no_room(monkeypatch):
    content = os.urandom(MB)
    key = kept(content)
    monkeypatch.setenv("YOTO_KEPT_MB", "1")
    assert kept(content, owner="you", name="again.h5ad") == key
    assert library.find(key, "you")[1] == "again.h5ad"
    monkeypatch.setenv("YOTO_BROWSER_MB", "1")
    assert kept(content) == key
    other = os.urandom(MB)
    with pytest.raises(PlaceError):
        kept(other)


class Liar(io.BytesIO):
    """A stream that says it is empty."""

    def seekable(self):
        return False


@pytest.mark.parametrize(
    ("variable", "error"),
    [("YOTO_UPLOAD_MB", DataError), ("YOTO_KEPT_MB", PlaceError), ("YOTO_BROWSER_MB", PlaceError)],
)
def test_a_stream_that_does_not_say_its_length_is_measured_while_it_is_written(monkeypatch, variable, error):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(error, match=r"^large has "):
        library.keep(Liar(bytes(3 * MB // 2)), "large", owner="me")
    assert list((home() / "data").iterdir()) == []


def test_many_uploads_at_once_never_take_more_than_there_is(monkeypatch):
    monkeypatch.setenv("YOTO_KEPT_MB", "3")
    barrier, refused = threading.Barrier(6), []

    def upload(i):
        stream = io.BytesIO(bytes([i]) * MB)
        barrier.wait()
        try:
            library.keep(stream, f"{i}", owner=f"{i}")
        except PlaceError:
            refused.append(i)

    threads = [threading.Thread(target=upload, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.total() == 3 * MB
    assert len(refused) == 3
    assert not list((home() / "data").glob(".*"))


# --- age


def test_a_file_goes_after_its_last_use_but_not_before_and_not_from_under_a_run(monkeypatch):
    old, used, needed, ended = (kept(os.urandom(100)) for _ in range(4))
    run_of(needed, state="queued", owner="you")
    run_of(ended, state="done")
    for key in (old, used, needed, ended):
        unused_for(key, 31)
    library.find(used)  # which is a use
    assert storage.remove_expired(Limits(**OWN_MACHINE)) == 0
    monkeypatch.setenv("YOTO_KEPT_DAYS", "30")
    new = kept(os.urandom(100))
    assert [is_kept(key) for key in (old, used, needed, ended, new)] == [False, True, True, False, True]
    assert not list((home() / "data").glob(f"{old}*"))


def test_room_is_made_from_what_is_too_old_before_a_file_is_refused(monkeypatch):
    old = kept(os.urandom(MB))
    unused_for(old, 3)
    monkeypatch.setenv("YOTO_KEPT_MB", "1")
    monkeypatch.setenv("YOTO_KEPT_DAYS", "2")
    assert is_kept(kept(os.urandom(MB)))
    assert not is_kept(old)


# --- the list, and removing


def test_the_list_says_what_there_is_and_which_runs_need_it():
    first, second = kept(b"first", name="a"), kept(b"second", name="b")
    model = kept(b"model", name="m.yoto", shelf="models")
    run_of(first)
    run_of(first, state="queued")
    found = {file.key: file for file in storage.inventory("me")}
    assert set(found) == {first, second, model}
    assert (found[first].name, found[first].disk, found[first].in_work) == ("a", 5, True)
    assert sorted(found[first].runs) == ["run done", "run queued"]
    assert (found[second].runs, found[second].in_work, found[model].shelf) == ((), False, "models")
    assert storage.total() == 16


def test_on_a_shared_server_the_list_and_the_hand_reach_ones_own_files_only(monkeypatch):
    monkeypatch.setenv("YOTO_SHARED", "1")
    mine, both = kept(b"mine"), kept(b"both")
    kept(b"both", owner="you")
    theirs = kept(b"theirs", owner="you")
    run_of(mine, owner="you")  # opened by a link
    assert {file.key for file in storage.inventory("me")} == {mine, both}
    assert [file.runs for file in storage.inventory("me")] == [(), ()]
    for forged in (theirs, "f" * 64, "../../etc/passwd", "demo"):
        with pytest.raises(DataError, match=r"^There is no such file of yours\."):
            storage.remove(forged, "data", owner="me")
    storage.remove(both, "data", owner="me")
    assert is_kept(both)
    assert {file.key for file in storage.inventory("me")} == {mine}
    assert both in {file.key for file in storage.inventory("you")}
    storage.remove(both, "data", owner="you")
    assert not list((home() / "data").glob(f"{both}*"))


def test_nobody_removes_what_a_run_that_works_needs(monkeypatch):
    key = kept(b"mine", name="cells.h5ad")
    folder = run_of(key, state="queued", owner="you")
    for several in ("0", "1"):
        monkeypatch.setenv("YOTO_SHARED", several)
        with pytest.raises(RunError, match=r"^cells\.h5ad is needed by a run that waits or works\. Stop the run"):
            storage.remove(key, "data", owner="me")
    write_json(folder / "status.json", replace(Status(), state="done").__dict__)
    storage.remove(key, "data", owner="me")
    assert not is_kept(key)


# --- taking back what is of no use


def test_a_refused_upload_leaves_the_same_bytes_of_another():
    mine = library.take_in(io.BytesIO(b"same"), "mine", owner="me")
    theirs = library.take_in(io.BytesIO(b"same"), "theirs", owner="you")
    library.forget(mine)
    assert is_kept(mine.key)
    assert library.find(mine.key, "you")[1] == "theirs"
    assert [file.key for file in storage.inventory("you")] == [theirs.key]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_all_who_brought_it_were_refused_is_gone(order):
    both = [library.take_in(io.BytesIO(b"same"), who, owner=who) for who in ("me", "you")]
    for place in order:
        library.forget(both[place])
    assert list((home() / "data").iterdir()) == []


def test_a_refused_second_upload_gives_the_first_its_name_back():
    key = kept(b"same", name="first")
    library.forget(library.take_in(io.BytesIO(b"same"), "second", owner="me"))
    assert library.find(key, "me")[1] == "first"


def test_an_upload_is_taken_back_once():
    mine = library.take_in(io.BytesIO(b"same"), "mine", owner="me")
    library.forget(mine)
    again = library.take_in(io.BytesIO(b"same"), "again", owner="me")
    library.forget(mine)  # which may not take the new one, even where the system gave it the old number
    assert library.find(again.key, "me")[1] == "again"


@pytest.mark.parametrize("shelf", ["data", "models"])
def test_whoever_needs_the_bytes_has_them_however_many_are_refused_at_once(shelf):
    """Half of the uploads of the same bytes are refused while the others come in."""
    for turn in range(10):
        content, barrier, keys = bytes([turn]) * 1000, threading.Barrier(8), []

        def upload(i, content=content, barrier=barrier, keys=keys):
            barrier.wait()
            taken = library.take_in(io.BytesIO(content), f"{i}", shelf=shelf, owner=f"{i}")
            keys.append(taken.key)
            if i % 2:
                library.forget(taken)

        threads = [threading.Thread(target=upload, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (key,) = set(keys)
        find = library.find if shelf == "data" else library.find_model
        assert [find(key, f"{i}")[1] for i in (0, 2, 4, 6)] == ["0", "2", "4", "6"]
        assert Path(find(key, "0")[0]).read_bytes() == content
