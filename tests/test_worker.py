"""A run in a process of its own: how it starts, tells where it stands, stops, dies and fails."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.conftest import make_toy
from tests.shared_runs import (
    CONDITION,
    LIGHT,
    TYPE,
    config_for,
    fill_the_disk,
    toy_dataset,
    toy_on_disk,
    wait_for,
    wait_for_end,
    wait_until_gone,
)
from yoto_core.config import TaskConfig
from yoto_core.files import read_json, write_json
from yoto_core.progress import Progress
from yoto_core.store import runs
from yoto_core.store.status import ask_to_stop, of_process, queued, read_status, write_status
from yoto_core.work import jobs
from yoto_core.worker import carry_out


def new_run(*, path=None, config=None, digest=None):
    return runs.create_run(
        config or config_for(CONDITION, panel_size=3),
        data_path=path or toy_on_disk(),
        data_name="toy",
        data_digest=digest or toy_dataset().digest,
    )


def log_of(folder):
    return (folder / "log.txt").read_text(encoding="utf-8")


def test_a_run_in_its_own_process_goes_from_queued_to_done():
    folder = new_run()
    assert read_status(folder).state == "queued"
    process = jobs.launch(folder)
    running = wait_for(folder, lambda status: status.state != "queued")
    assert running.state == "running"
    assert running.pid == process
    assert os.getsid(process) == process != os.getsid(0)  # a session of its own outlives the server
    status = wait_for_end(folder)
    assert (status.state, status.has_panel, status.eta) == ("done", True, None), log_of(folder)
    assert status.created <= status.started <= status.finished
    run = runs.load_run(folder)
    assert len(run.panel.genes) == 3
    assert run.evaluation is not None
    assert len(runs.read_history(folder)) == len(run.history)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    wait_until_gone(process)


def test_a_run_lost_before_its_stability_was_measured_measures_that_alone():
    config = config_for(CONDITION, panel_size=3, evaluation=replace(LIGHT, stability="yes"))
    folder = new_run(config=config)
    assert carry_out(folder).state == "done"
    scores, stability = ((folder / name).read_bytes() for name in ("metrics.json", "stability.json"))
    (folder / "stability.json").unlink()
    (folder / "metrics.json").write_bytes(scores + b" ")  # a mark: it must not be written again
    write_status(folder, replace(read_status(folder), state="queued", pid=None, identity=None))
    seen = []
    assert carry_out(folder, on_progress=seen.append).state == "done"
    assert (folder / "stability.json").read_bytes() == stability
    assert (folder / "metrics.json").read_bytes() == scores + b" "
    assert [report.phase for report in seen].count("stability") == 32
    assert runs.load_run(folder).stability.subsamples == 20


def test_a_stop_file_ends_a_process_as_stopped():
    folder = new_run()
    process = jobs.launch(folder)
    jobs.stop(folder)
    status = wait_for_end(folder)
    assert status.state == "stopped"
    assert status.message == "Stopped on request. No panel was chosen yet."
    assert not (folder / "panel.csv").exists()
    wait_until_gone(process)


def test_a_killed_process_is_seen_as_interrupted():
    folder = new_run()
    process = jobs.launch(folder)
    wait_for(folder, lambda status: status.state == "running")
    os.kill(process, signal.SIGKILL)
    status = wait_for_end(folder)
    assert (status.state, status.message.startswith("The process that ran it is gone.")) == ("interrupted", True)
    wait_until_gone(process)
    assert read_status(folder).state == "interrupted"


def test_a_request_to_terminate_is_a_normal_ending():
    folder = new_run()
    process = jobs.launch(folder)
    wait_for(folder, lambda status: status.state == "running")
    os.kill(process, signal.SIGTERM)
    assert wait_for_end(folder).state == "stopped"
    wait_until_gone(process)


def test_a_defect_fails_the_run_and_leaves_its_traceback_in_the_log():
    folder = new_run()
    about = read_json(folder / "data.json")
    del about["digest"]
    write_json(folder / "data.json", about)
    process = jobs.launch(folder)
    status = wait_for_end(folder)
    assert status.state == "failed"
    assert status.message == "Something unexpected went wrong (KeyError)."
    assert "log.txt" in status.hint
    wait_until_gone(process)
    assert "Traceback (most recent call last)" in log_of(folder)
    assert "KeyError: 'digest'" in log_of(folder)


def test_a_worker_that_cannot_even_begin_is_noticed(tmp_path):
    folder = new_run()
    (folder / "status.json").write_text("{")
    process = jobs.launch(folder)
    wait_until_gone(process)
    assert "status.json of the run is damaged." in log_of(folder)


def test_a_run_that_never_started_is_noticed():
    folder = new_run()
    write_json(folder / "status.json", asdict(replace(queued(), heartbeat=1.0)))
    status = read_status(folder)
    assert (status.state, status.message) == ("interrupted", "It never started.")


def test_a_process_that_does_not_listen_is_terminated_then_killed_and_counts_as_stopped(monkeypatch):
    monkeypatch.setattr(jobs, "GRACE", 0.1)
    monkeypatch.setattr(jobs, "LAST_GRACE", 0.1)
    folder = new_run()
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"
    process = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    process.stdout.readline()
    write_status(folder, of_process(queued(), process.pid))
    jobs.stop(folder)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    status = read_status(folder)
    assert (status.state, status.message) == ("stopped", "Stopped on request. No panel was chosen yet.")
    jobs.stop(folder)  # nothing left to end


def changed(adata):
    adata.obs["condition"] = adata.obs["condition"].to_numpy()[::-1]


def with_nan(adata):
    adata.X.data[7] = np.nan


def with_negative(adata):
    adata.X.data[7] = -1.0


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (changed, "toy has changed since the run was designed."),
        (with_nan, "No usable expression matrix"),
        (with_negative, "No usable expression matrix"),
    ],
)
def test_data_that_were_spoilt_since_fail_the_run_with_a_sentence(spoil, sentence, tmp_path):
    adata = make_toy()
    path = tmp_path / "data.h5ad"
    spoil(adata)
    adata.write_h5ad(path)
    folder = new_run(path=path)
    status = carry_out(folder)
    assert status.state == "failed"
    assert status.message.startswith(sentence)
    assert status.hint
    assert read_status(folder) == replace(status, heartbeat=read_status(folder).heartbeat)
    assert not (folder / "log.txt").exists()  # not a defect: no traceback


def test_data_that_are_gone_fail_the_run_with_a_sentence(tmp_path):
    status = carry_out(new_run(path=tmp_path / "gone.h5ad"))
    assert (status.state, status.message, status.hint) == ("failed", "There is no file gone.h5ad.", "Check the path.")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (config_for(TYPE, panel_size=60), "The panel size is 60 but there are 60 candidate genes."),
        (config_for(TaskConfig(obs="nothing")), "The data has no obs column “nothing”"),
    ],
)
def test_a_config_that_does_not_fit_fails_the_run_with_a_sentence(config, sentence):
    status = carry_out(new_run(config=config))
    assert status.state == "failed"
    assert status.message.startswith(sentence)


def test_a_stop_while_scoring_keeps_the_panel():
    folder = new_run()
    seen: list[Progress] = []
    status = carry_out(folder, on_progress=seen.append, should_stop=lambda: bool(seen) and seen[-1].phase == "scoring")
    assert status.state == "stopped"
    assert status.message == "Stopped on request. The panel is kept; its scores are not complete."
    run = runs.load_run(folder)
    assert len(run.panel.genes) == 3
    assert run.evaluation is None


def test_history_and_status_are_on_disk_while_the_training_goes_on():
    folder = new_run()
    rows, phases = [], []

    def look(progress: Progress) -> None:
        rows.append(len(runs.read_history(folder)))
        phases.append(read_status(folder).phase)

    carry_out(folder, on_progress=look)
    assert sorted(set(rows)) == list(range(max(rows) + 1))
    assert list(dict.fromkeys(phases)) == ["reading", "preparing", "training", "scoring", "saving"]


def test_a_stop_asked_before_the_start_is_heard():
    folder = new_run()
    ask_to_stop(folder)
    assert carry_out(folder).state == "stopped"


@pytest.mark.parametrize("name", ["panel.csv", "model.safetensors", "predictions.parquet", "metrics.json"])
def test_a_disk_that_fills_up_while_saving_fails_the_run_with_a_sentence(name, monkeypatch):
    folder = new_run()
    fill_the_disk(monkeypatch, name)
    status = carry_out(folder)
    assert status.state == "failed"
    assert status.message.startswith("The disk that holds ")
    assert status.message.endswith(" is full.")
    assert status.hint == "Free some space, then run again."
    assert not (folder / name).exists()


def test_the_last_word_is_written_even_where_no_new_file_fits(monkeypatch):
    folder = new_run()

    def refuse(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.replace", refuse)
    status = carry_out(folder)
    assert status.state == "failed"
    assert status.message.endswith("is full.")
    assert json.loads((folder / "status.json").read_text())["state"] == "failed"
    assert read_status(folder).message == status.message


def test_a_really_full_disk_fails_the_run_with_a_sentence(tmp_path, monkeypatch):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "yoto", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        monkeypatch.setenv("YOTO_HOME", str(small / "home"))
        folder = new_run()
        with (small / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        process = jobs.launch(folder)
        status = wait_for_end(folder)
        wait_until_gone(process)
        assert status.state == "failed"
        assert status.message.endswith(" is full.")
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)  # a process that ends may still hold a file there
