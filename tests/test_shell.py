"""The shell: every command, its exit code, and one line on stderr for bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import anndata
import pandas as pd
import pytest

from tests.conftest import make_toy
from tests.shared_runs import PATIENCE, finished, save, toy_on_disk
from yoto_core.__main__ import main, task_from_text
from yoto_core.errors import ConfigError
from yoto_core.store import runs
from yoto_core.store.export import write_predictions
from yoto_core.store.folders import RUN_ID, runs_folder
from yoto_core.store.history import history
from yoto_core.store.portable import export_model
from yoto_core.store.saved import saved_model
from yoto_core.store.status import read_status

PROJECT = Path(__file__).resolve().parent.parent
# As short as a run can be: the shell is tested here, not the panel.
BRIEF = ["--set", "evaluation.random_panels=1", "--set", "evaluation.bootstrap=50", "--set", "threads=1"]
BRIEF += [part for name in ("steps", "fit_steps") for part in ("--set", f"training.{name}=40")]


@pytest.fixture
def data():
    return str(toy_on_disk())


def refused(capsys, *arguments):
    """The one line that a refused command prints; it exits with 2 and prints nothing else."""
    assert main([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    lines = [line for line in lines if not re.match(r"Reading|Splitting|Choosing|Scoring|\d+ of \d+ cells", line)]
    assert len(lines) == 1
    assert lines[0].startswith("yoto: ")
    assert "Traceback" not in out + err
    return lines[0].removeprefix("yoto: ")


def in_a_process(*arguments, **options):
    environment = options.pop("env", {}) | os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(
        [sys.executable, "-m", "yoto_core", *arguments], text=True, env=environment, cwd=options.pop("cwd", PROJECT),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def test_select_leaves_a_run_folder_and_prints_panel_and_scores(data, capsys, tmp_path):
    include, exclude = tmp_path / "in.txt", tmp_path / "out.txt"
    include.write_text("NOISE3  # wanted\n", encoding="utf-8")
    exclude.write_text("T1, T2; B1\n", encoding="utf-8")
    out = tmp_path / "deep" / "run"
    arguments = [
        "select", data, "--task", "cell_type", "--task", "age:regression:2", "--panel-size", "4", "--group", "donor",
        "--include", str(include), "--exclude", str(exclude), "--exclude-families", "mito,ribo", "--seed", "5",
        "--set", "selector.schedule=fixed", "--out", str(out), *BRIEF,
    ]  # fmt: skip
    assert main(arguments) == 0
    printed = capsys.readouterr()
    run = runs.load_run(out)
    assert read_status(out).state == "done"
    assert list(runs_folder().iterdir()) == []  # it lies where it was asked for
    assert "Panel of 4 genes from toy.h5ad" in printed.out
    assert f"Run folder: {out}" in printed.out
    assert all(gene in printed.out for gene in run.panel.genes)
    assert "Choosing genes" in printed.err.splitlines()  # plain lines where stderr is no terminal
    config = run.config
    assert [(task.obs, task.kind, task.weight) for task in config.tasks] == [
        ("cell_type", "classification", 1.0), ("age", "regression", 2.0),
    ]  # fmt: skip
    assert (config.split.group, config.seed, config.selector.schedule) == ("donor", 5, "fixed")
    assert config.genes.include == ("NOISE3",)
    assert config.genes.exclude == ("T1", "T2", "B1")
    assert config.genes.exclude_families == ("mito", "ribo")
    assert "NOISE3" in run.panel.genes
    assert not {"T1", "T2", "B1"} & set(run.panel.genes)


def test_a_run_without_out_goes_to_the_other_runs_and_one_seed_gives_one_panel(data, capsys):
    for _ in range(2):
        assert main(["select", data, "--task", "condition", "--panel-size", "3", *BRIEF]) == 0
    folders = list(runs_folder().iterdir())
    assert len(folders) == 2
    first, second = ((folder / "panel.csv").read_bytes() for folder in folders)
    assert first == second
    capsys.readouterr()
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}  \d{4}-.*  done +3 genes for condition", line) for line in lines)


def test_list_says_what_to_do_where_there_is_no_run(capsys):
    assert main(["list"]) == 0
    assert capsys.readouterr().out == "No runs yet. Try: python -m yoto_core demo\n"


def test_show_takes_an_id_or_a_folder(capsys):
    folder = save(finished())
    assert main(["show", folder.name]) == 0
    by_id = capsys.readouterr().out
    assert main(["show", str(folder)]) == 0
    assert capsys.readouterr().out == by_id
    assert by_id.startswith("done: Finished.\n")
    assert "Panel of 8 genes" in by_id
    assert "cell_type: macro-F1 on 75 cells" in by_id


def test_show_of_a_stopped_run_says_that_it_has_no_scores(capsys):
    assert main(["show", str(save(finished(), scored=False))]) == 0
    assert "The run was stopped before its scores were measured." in capsys.readouterr().out


def test_predict_labels_every_cell_in_a_csv(data, capsys, tmp_path):
    out = tmp_path / "labels.csv"
    assert main(["predict", str(save(finished())), data, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert f"300 cells labelled: {out}\n" in said.out
    table = pd.read_csv(out, index_col="cell")
    assert list(table.index) == list(make_toy().obs_names)
    assert {"cell_type", "cell_type probability", "condition", "condition probability", "age"} <= set(table)
    assert (table["cell_type"] == make_toy().obs["cell_type"].astype(str)).mean() > 0.8


def test_predict_names_the_panel_genes_that_new_data_lack(capsys, tmp_path):
    adata = make_toy()
    run = finished()
    adata[:, ~adata.var_names.isin(run.panel.genes[:2])].copy().write_h5ad(tmp_path / "new.h5ad")
    line = refused(capsys, "predict", save(run), tmp_path / "new.h5ad", "--out", tmp_path / "x.csv")
    assert line.startswith(f"new.h5ad lacks 2 of the 8 panel genes (first: {run.panel.genes[0]}).")
    assert not (tmp_path / "x.csv").exists()


def test_predict_tells_what_missing_genes_cost_before_and_after_they_are_averaged(capsys, tmp_path):
    adata, gone = make_toy(), finished().panel.genes[0]
    adata[:, adata.var_names != gone].copy().write_h5ad(tmp_path / "new.h5ad")
    command = ["predict", str(save(finished())), str(tmp_path / "new.h5ad"), "--out", str(tmp_path / "x.csv")]
    assert main(command) == 2
    assert f"missing {gone}: Without {gone} " in capsys.readouterr().out
    assert main([*command, "--impute"]) == 0
    said = capsys.readouterr()
    assert f"missing {gone}: Without {gone} " in said.out
    assert f"warning: {gone} is missing and taken as average." in said.err


def test_predict_judges_against_labels_of_the_new_cells(data, capsys, tmp_path):
    folder, out = str(save(finished())), str(tmp_path / "x.csv")
    assert main(["predict", folder, data, "--out", out, "--truth", "cell_type=cell_type"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"cell_type +macro-F1 +\d\.\d{3} +\d\.\d{3}", text)
    assert re.search(r"cell_type +Mono +\d\.\d{3} +\d\.\d{3}", text)
    assert "condition            " not in text.partition("Against the labels")[2]
    line = refused(capsys, "predict", folder, data, "--out", tmp_path / "y.csv", "--truth", "cell_type=donor")
    assert line.startswith("Column “donor” holds none of the model's labels for cell_type.")
    assert not (tmp_path / "y.csv").exists()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [(["--truth", "cell_type"], "“cell_type” is not TASK=OBS"), (["--threshold", "2"], "“2” is not a probability")],
)
def test_predict_options_that_make_no_sense_exit_with_two(option, sentence, data, capsys, tmp_path):
    with pytest.raises(SystemExit) as ended:
        main(["predict", "x", data, "--out", str(tmp_path / "x.csv"), *option])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_predict_writes_a_copy_of_the_file_with_its_answers_in_obs(data, capsys, tmp_path):
    out = tmp_path / "out.h5ad"
    assert main(["predict", str(save(finished())), data, "--out", str(out)]) == 0
    assert list(anndata.read_h5ad(out).obs["yoto cell_type"].cat.categories) == ["B", "Mono", "NK", "T"]
    capsys.readouterr()
    assert refused(capsys, "predict", save(finished()), data, "--out", tmp_path / "x.txt").startswith(
        "--out x.txt is neither .csv nor .h5ad."
    )


def test_export_writes_a_model_that_predict_takes(data, capsys, tmp_path):
    path, out = tmp_path / "panel.yoto", tmp_path / "x.csv"
    assert main(["export", str(save(finished())), "--out", str(path)]) == 0
    assert main(["predict", str(path), data, "--out", str(out)]) == 0
    assert len(pd.read_csv(out)) == 300
    path.write_bytes(path.read_bytes()[:900])
    capsys.readouterr()
    assert refused(capsys, "predict", path, data, "--out", out).startswith("panel.yoto is cut short or damaged.")


def test_predict_into_a_folder_that_is_not_there_is_refused(data, capsys, tmp_path):
    line = refused(capsys, "predict", save(finished()), data, "--out", tmp_path / "no" / "x.csv")
    assert line.startswith(f"{tmp_path / 'no'} cannot be written (No such file or directory).")


def spellings(path, tmp_path):
    """The same file by its name, with a detour, through a link, a hard link and a linked folder."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "folder").symlink_to(path.parent)
    link, hard = tmp_path / f"link{path.suffix}", tmp_path / f"hard{path.suffix}"
    link.symlink_to(path)
    os.link(path, hard)
    return [path, tmp_path / "deep" / ".." / path.name, link, hard, tmp_path / "folder" / path.name]


def test_predict_never_writes_over_the_cells_it_reads(capsys, tmp_path):
    cells = tmp_path / "cells.h5ad"
    make_toy().write_h5ad(cells)
    content, model = cells.read_bytes(), save(finished())
    for out in spellings(cells, tmp_path):
        line = refused(capsys, "predict", model, cells, "--out", out)
        assert line == f"Writing {out} would replace the cells to be labelled. Name another file or folder."
        with pytest.raises(ConfigError, match=r"would replace the cells that were labelled\."):
            write_predictions(out, pd.DataFrame(), cells)
    assert cells.read_bytes() == content


def test_a_model_file_is_never_written_over_by_what_is_made_from_it(data, capsys, tmp_path):
    model = tmp_path / "panel.csv"  # whatever it is called
    export_model(saved_model(finished()), model)
    content = model.read_bytes()
    for out in spellings(model, tmp_path):
        line = refused(capsys, "predict", model, data, "--out", out)
        assert line == f"Writing {out} would replace the model that labels them. Name another file or folder."
        line = refused(capsys, "export", model, "--out", out)
        assert line == f"Writing {out} would replace the model that is exported. Name another file or folder."
    assert model.read_bytes() == content


@pytest.mark.parametrize("name", ["predictions.csv", "panel.csv", "deep/../history.csv", "new.csv"])
def test_nothing_is_written_into_a_run_folder(name, data, capsys, tmp_path):
    folder = save(finished())
    elsewhere = tmp_path / "a run"
    shutil.copytree(folder, elsewhere)
    (elsewhere / "deep").mkdir()
    line = refused(capsys, "predict", elsewhere, data, "--out", elsewhere / name)
    assert line.startswith(f"Writing {elsewhere / name} would change the model that labels them.")
    line = refused(capsys, "export", elsewhere, "--out", elsewhere / name)
    assert line.startswith(f"Writing {elsewhere / name} would change the model that is exported.")
    line = refused(capsys, "predict", elsewhere, data, "--out", folder / name)
    assert line.startswith(f"Writing {folder / name} would change the runs that YOTO keeps.")
    assert pd.read_csv(elsewhere / "panel.csv").equals(pd.read_csv(folder / "panel.csv"))


def test_select_writes_its_run_neither_over_a_link_nor_into_another_run(data, capsys, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    line = refused(capsys, "select", data, *SELECT, "--out", tmp_path / "link")
    assert line == f"{tmp_path / 'link'} exists already. Name a folder that does not exist yet."
    inside = save(finished()) / "again"
    line = refused(capsys, "select", data, *SELECT, "--out", inside)
    assert line == f"Writing {inside} would change the runs that YOTO keeps. Name another file or folder."


def test_inspect_says_what_a_file_holds(data, capsys):
    assert main(["inspect", data]) == 0
    text = capsys.readouterr().out
    assert "toy.h5ad: 300 cells × 60 genes" in text
    assert "Matrix used: X" in text
    assert re.search(r"Likely tasks:\n  cell_type \(classification\): 4 classes", text)
    assert re.search(r"Likely groups to hold out:\n  donor ", text)


def test_inspect_as_json_can_be_read_by_a_program(data, capsys):
    assert main(["inspect", data, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["cells"], facts["genes"], facts["chosen_matrix"]) == (300, 60, "X")
    assert {column["name"]: column["role"] for column in facts["columns"]} == {
        "cell_type": "task", "condition": "task", "age": "task", "donor": "group",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cell_type", ("cell_type", "classification", 1.0)),
        ("age:regression", ("age", "regression", 1.0)),
        ("age:regression:2", ("age", "regression", 2.0)),
        ("age:2.5", ("age", "classification", 2.5)),
        ("age:0.5:regression", ("age", "regression", 0.5)),
        ("cell type", ("cell type", "classification", 1.0)),
    ],
)
def test_a_task_is_read_from_text(text, expected):
    task = task_from_text(text)
    assert (task.obs, task.kind, task.weight) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "A task names no obs column."),
        (":regression", "A task names no obs column."),
        ("age:number", "“number” in task “age:number” is neither a kind nor a weight."),
        ("age:regression:heavy", "“heavy” in task “age:regression:heavy” is neither a kind nor a weight."),
        ("age:regression:0", "Weight is 0."),
        ("age:nan", "Weight is nan."),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(text, sentence):
    with pytest.raises(ConfigError) as caught:
        task_from_text(text)
    assert caught.value.args[0] == sentence


SELECT = ["--task", "cell_type", "--panel-size", "4"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--task", "cell_type", "--panel-size", "60"], "The panel size is 60 but there are 60 candidate genes. Choose at most 59."),
        (["--task", "cell_type", "--panel-size", "0"], "Panel size (genes) is 0. Choose a value from 1 to 1,000."),
        (["--task", "celltype", "--panel-size", "4"], "The data has no obs column “celltype”"),
        (["--task", "age:many", "--panel-size", "4"], "“many” in task “age:many” is neither a kind nor a weight."),
        ([*SELECT, "--task", "cell_type"], "Task “cell_type” is named twice."),
        ([*SELECT, "--group", "age2"], "The data has no obs column “age2” to hold out."),
        ([*SELECT, "--set", "training.unheard=3"], "There is no setting “training.unheard”."),
        ([*SELECT, "--set", "seed"], "--set seed has no “=”."),
        ([*SELECT, "--set", "evaluation.bootstrap=many"], "evaluation.bootstrap is “many”, not a whole number."),
        ([*SELECT, "--exclude-families", "mito,virus"], "There is no gene family “virus”."),
        ([*SELECT, "--include", "no-such-list.txt"], "The gene list no-such-list.txt cannot be read."),
        ([*SELECT, "--set", "genes.matrix=layers/none"], "The file has no matrix “layers/none”."),
        ([*SELECT, "--seed", "-1"], "Training seed is -1."),
    ],
)  # fmt: skip
def test_bad_settings_are_refused_in_one_line(arguments, sentence, data, capsys):
    assert refused(capsys, "select", data, *arguments).startswith(sentence)


def test_unknown_genes_of_a_list_are_named_with_near_ones(data, capsys, tmp_path):
    (tmp_path / "in.txt").write_text("STIM9\n", encoding="utf-8")
    line = refused(capsys, "select", data, *SELECT, "--include", tmp_path / "in.txt")
    assert line.startswith("Gene STIM9, to be included, is not in the data. Did you mean STIM")


def test_a_gene_list_that_is_no_text_is_refused(data, capsys, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"\xff\xfe\x00")
    line = refused(capsys, "select", data, *SELECT, "--include", tmp_path / "in.txt")
    assert line.endswith("in.txt cannot be read. Give a text file with one gene per line.")


@pytest.mark.parametrize("command", ["select", "inspect", "predict"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "There is no file x.h5ad."), (b"", "x.h5ad is empty (0 bytes)."), (b"PK", "x.h5ad is not an .h5ad file.")],
)
def test_files_that_cannot_be_read_are_refused_in_one_line(command, content, sentence, capsys, tmp_path):
    path = tmp_path / "x.h5ad"
    if content is not None:
        path.write_bytes(content)
    arguments = {
        "select": ["select", path, *SELECT], "inspect": ["inspect", path],
        "predict": ["predict", save(finished()), path, "--out", tmp_path / "x.csv"],
    }[command]  # fmt: skip
    assert refused(capsys, *arguments).startswith(sentence)


def test_a_column_with_one_class_is_refused_in_one_line(capsys, tmp_path):
    adata = make_toy()
    adata.obs["same"] = "a"
    adata.write_h5ad(tmp_path / "one.h5ad")
    line = refused(capsys, "select", tmp_path / "one.h5ad", "--task", "same", "--panel-size", "4")
    assert line == "Column “same” has one class, “a”. Choose a column with two or more."


def test_an_existing_out_folder_is_refused_and_leaves_no_waiting_run(data, capsys, tmp_path):
    line = refused(capsys, "select", data, *SELECT, "--out", tmp_path)
    assert line == f"{tmp_path} exists already. Name a folder that does not exist yet."
    assert history() == []


def test_an_out_folder_inside_a_file_is_refused(data, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    line = refused(capsys, "select", data, *SELECT, "--out", tmp_path / "file" / "run")
    assert "cannot be written" in line
    assert history() == []


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("0" * 32, f"There is no run {'0' * 32} on this machine."),
        ("latest", "“latest” is not a run id."),
        ("../x", "“../x” is not a run id."),
    ],
)
def test_an_unknown_run_is_refused_in_one_line(run, sentence, capsys, data, tmp_path):
    assert refused(capsys, "show", run).startswith(sentence)
    assert refused(capsys, "predict", run, data, "--out", tmp_path / "x.csv").startswith(sentence)


def test_a_folder_that_is_no_run_is_refused(capsys, tmp_path):
    assert refused(capsys, "show", tmp_path).startswith("The run has no status.json.")


@pytest.mark.parametrize(
    "arguments", [["--help"], *([name, "--help"] for name in ("select", "demo", "inspect", "show"))]
)
def test_help_is_given_and_ends_well(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert "usage: python -m yoto_core" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["choose"], ["select"], ["select", "x", "--panel-size", "many"]])
def test_a_command_line_that_makes_no_sense_exits_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_real_shell_gets_exit_code_text_and_nothing_on_stderr(data, tmp_path):
    process = in_a_process("inspect", data, cwd=tmp_path)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    assert "300 cells × 60 genes" in out


def test_an_interrupt_in_a_real_shell_ends_with_130_and_a_stopped_run(data):
    process = in_a_process("select", data, *SELECT)
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert first == "Reading the data\n"
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines()[-1].startswith("yoto: Stopped on request. No panel was chosen yet.")
    assert "Traceback" not in err
    (folder,) = runs_folder().iterdir()
    assert RUN_ID.fullmatch(folder.name)
    assert read_status(folder).state == "stopped"


def test_the_data_of_the_shell_tests_are_the_toy(data):
    assert anndata.read_h5ad(data).shape == (300, 60)


STEERING = "\x1b]0;owned\x07\x1b[2J"


@pytest.fixture
def steering_file(tmp_path):
    """Cells whose gene, column, class and file names would steer a terminal, or begin a line of their own."""
    toy = make_toy(cells=120)
    toy.var_names = [f"{STEERING}{name}\nerror: false" for name in toy.var_names]
    toy.obs = toy.obs.rename(columns={"cell_type": f"{STEERING}type\nfalse"})
    toy.obs["donor"] = [f"{STEERING}{name}" for name in toy.obs["donor"]]
    path = tmp_path / "cells\x1b[31m.h5ad"
    toy.write_h5ad(path)
    return path


def test_names_from_files_do_not_steer_the_terminal(steering_file, capsys, tmp_path):
    task, out = f"{STEERING}type\nfalse", tmp_path / "run"
    assert main(["inspect", str(steering_file)]) == 0
    select = ["select", str(steering_file), "--task", task, "--panel-size", "3", "--out", str(out), *BRIEF]
    assert main(select) == 0
    assert main(["show", str(out)]) == 0
    assert main(["predict", str(out), str(steering_file), "--out", str(tmp_path / "out.csv")]) == 0
    assert main(["inspect", str(tmp_path / "absent\x1b[31m")]) == 2
    printed = "".join(capsys.readouterr())
    assert "\\x1b[2J" in printed
    assert not [char for char in printed if ord(char) < 32 and char != "\n"]
    assert not [line for line in printed.splitlines() if line.startswith(("error: false", "false"))]


def test_answers_begin_no_formula_in_a_spreadsheet(capsys, tmp_path):
    toy = make_toy()
    toy.obs["cell_type"] = [f"={name}" for name in toy.obs["cell_type"]]
    toy.obs_names = [f"@{name}" for name in toy.obs_names]
    path, out = tmp_path / "cells.h5ad", tmp_path / "run"
    toy.write_h5ad(path)
    assert main(["select", str(path), "--task", "cell_type", "--panel-size", "3", "--out", str(out), *BRIEF]) == 0
    assert main(["predict", str(out), str(path), "--out", str(tmp_path / "out.csv")]) == 0
    table = pd.read_csv(tmp_path / "out.csv", dtype=str)
    assert table["cell"].str.startswith("'@").all()
    assert table["cell_type"].str.startswith("'=").all()


def test_a_name_that_is_no_text_is_still_one_line(tmp_path):
    shell = in_a_process("inspect", os.fsencode(tmp_path) + b"/\xff.h5ad")
    out, err = shell.communicate(timeout=PATIENCE)
    assert (shell.returncode, out) == (2, "")
    assert err == "yoto: There is no file \\udcff.h5ad. Check the path.\n"


def test_a_terminal_that_knows_few_characters_is_told_all_the_same(data):
    shell = in_a_process("inspect", data, env={"PYTHONIOENCODING": "ascii"})
    out, err = shell.communicate(timeout=PATIENCE)
    assert (shell.returncode, err) == (0, "")
    assert "300 cells \\xd7 60 genes" in out
