"""The whole main job without a browser: `python -m yoto_core select|demo|inspect|list|show|predict|export`.

Exit code 0 done, 1 a defect of ours, 2 bad input or the machine's limits (one line on stderr), 130 stopped by Ctrl-C; 143
by a request to terminate and 129 by the end of the terminal, which are heard like Ctrl-C.
"""

# ruff: noqa: E402 - whoever stops the program while the imports below are at work is heard already
import os
import signal
from collections.abc import Callable

OFFSET = 128  # of the exit code of a command that was ended by a signal, as shells have it
HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _hear(handler: Callable[[int, object], object]) -> None:
    """Let this answer every request to end but those that whoever started the program, as `nohup` does, has switched off."""
    for number in HEARD:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _leave(number: int, _frame: object) -> None:
    """End at once: there is nothing yet to put away."""
    try:
        os.write(2, b"yoto: stopped.\n")
    finally:  # the terminal may be gone
        os._exit(OFFSET + number)


if __name__ == "__main__":
    _hear(_leave)

import argparse
import json
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from yoto_core.config import GenesConfig, RunConfig, SelectorConfig, SplitConfig, TaskConfig
from yoto_core.data.genes import FAMILIES, split_list
from yoto_core.errors import ConfigError, DataError, RunError, YotoError, memory_named
from yoto_core.progress import Progress
from yoto_core.words import one_line, printable

DONE, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, OFFSET + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        warnings.filterwarnings("ignore")  # of libraries; what concerns the user is said as findings and errors
        with memory_named(_thing(options)):
            code = options.command(options)
        sys.stdout.flush()
        return code
    except YotoError as error:
        _complain(str(error))
        return BAD_INPUT
    except KeyboardInterrupt as asked:
        _complain("stopped.")
        return OFFSET + asked.args[0] if asked.args else STOPPED
    except BrokenPipeError:  # whoever read, as `| head` does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _say(text: str, *, file: TextIO | None = None) -> None:
    """Print what may hold names from files: none of them steers the terminal."""
    print(printable(text), file=file)


def _complain(text: str) -> None:
    """The one line on stderr of a command that did not end well, if anybody reads it: the terminal may be gone."""
    with suppress(OSError):
        print(one_line(f"yoto: {text}"), file=sys.stderr, flush=True)


def run(arguments: Sequence[str] | None = None) -> int:
    """The same for a process of its own, which is asked to end by signals; what is half written is put away."""
    _hear(_interrupt)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a terminal may know fewer characters than names have
    ended = main(arguments)
    if ended > OFFSET:  # Python itself would end by the signal where it came while it ran generated code
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(ended)
    return ended


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


@contextmanager
def _noted() -> Iterator[list[int]]:
    """Requests to end are noted here, and the work asks for them where it can end well."""
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in HEARD}
    _hear(lambda number, _frame: asked.append(number))
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _thing(options: argparse.Namespace) -> str:
    """What a command works on, for people."""
    named = getattr(options, "data", None) or getattr(options, "run", None)
    return Path(named).name if named else "This command"


def task_from_text(text: str) -> TaskConfig:
    """OBS[:classification|regression][:WEIGHT] as a task."""
    obs, *rest = text.split(":")
    values: dict[str, object] = {}
    for part in rest:
        if part in ("classification", "regression"):
            values["kind"] = part
        else:
            try:
                values["weight"] = float(part)
            except ValueError:
                raise ConfigError(
                    f"“{part}” in task “{text}” is neither a kind nor a weight.",
                    hint="Write OBS, OBS:regression or OBS:classification:2.",
                ) from None
    return TaskConfig(obs=obs, **values)


def config_from_options(options: argparse.Namespace) -> RunConfig:
    """The config that the options of `select` describe."""
    config = RunConfig(
        tasks=tuple(task_from_text(text) for text in options.task),
        genes=GenesConfig(
            include=_read_list(options.include),
            exclude=_read_list(options.exclude),
            exclude_families=_families(options.exclude_families),
        ),
        split=SplitConfig(group=options.group),
        selector=SelectorConfig(panel_size=options.panel_size),
        seed=options.seed,
    )
    for pair in options.set:
        path, equals, text = pair.partition("=")
        if not equals:
            raise ConfigError(f"--set {pair} has no “=”.", hint="Write --set section.field=value.")
        config = config.with_value(path, text)
    return config


def _select(options: argparse.Namespace) -> int:
    return _run(Path(options.data), Path(options.data).name, config_from_options(options), options.out)


def _demo(options: argparse.Namespace) -> int:
    from yoto_core.demo import DEMO_FILE, DEMO_NAME, demo_config

    return _run(DEMO_FILE, DEMO_NAME, demo_config(), options.out)


def _run(data_path: Path, name: str, config: RunConfig, out: str | None) -> int:
    from yoto_core import report
    from yoto_core.data.reading import read_dataset
    from yoto_core.store import runs
    from yoto_core.worker import carry_out

    target = _free(Path(out), data_path) if out else None
    data = read_dataset(data_path, matrix=config.genes.matrix, name=name)
    with _noted() as asked:
        folder = runs.create_run(config, data_path=data_path, data_name=name, data_digest=data.digest)
        if target:
            folder = _move(folder, target)
        with _Bar() as bar:
            status = carry_out(folder, on_progress=bar, should_stop=lambda: bool(asked))
    if status.state == "stopped":
        _complain(f"{status.message} {folder}")
        return OFFSET + asked[0] if asked else STOPPED
    if status.state == "failed":
        _complain(f"{status.message} {status.hint}")
        return FAILED if status.fault == "ours" else BAD_INPUT
    _say(report.as_text(runs.load_run(folder)))
    _say(f"\nRun folder: {folder}")
    return DONE


def _inspect(options: argparse.Namespace) -> int:
    from yoto_core import report
    from yoto_core.data.reading import read_dataset

    facts = report.describe_data(read_dataset(options.data))
    _say(json.dumps(facts, indent=1) if options.json else report.data_as_text(facts))
    return DONE


def _list(_options: argparse.Namespace) -> int:
    from yoto_core import report
    from yoto_core.store.history import history

    _say(report.runs_as_text(history()))
    return DONE


def _show(options: argparse.Namespace) -> int:
    from yoto_core import report
    from yoto_core.store import runs
    from yoto_core.store.status import read_status

    folder = _run_folder(options.run)
    status = read_status(folder)
    _say(one_line(f"{status.state}: {status.message} {status.hint}".strip()))
    if (folder / "panel.csv").exists():
        _say(report.as_text(runs.load_run(folder)))
    return DONE


def _predict(options: argparse.Namespace) -> int:
    from yoto_core import report
    from yoto_core.files import keep_apart
    from yoto_core.store import export, portable

    out, model = Path(options.out), _model_path(options.run)
    if out.suffix not in (".csv", ".h5ad"):
        raise ConfigError(f"--out {out.name} is neither .csv nor .h5ad.", hint="End the name in .csv or .h5ad.")
    keep_apart(out, {"the cells to be labelled": options.data, "the model that labels them": model, **_own_places()})
    saved = portable.load_model(model)
    settings = {"impute": options.impute, "threshold": options.threshold, "matrix": options.matrix}
    try:
        with _Bar() as bar:
            labelled = saved.label(options.data, **settings, on_progress=bar)
    except DataError:
        with suppress(DataError):  # where genes are missing: what each costs, before anybody asks for --impute
            _say(report.matching_as_text(saved, saved.look(options.data, matrix=options.matrix).matching))
        raise
    _say(report.matching_as_text(saved, labelled.matching))
    judged = saved.judge(labelled, dict(options.truth) or None)
    export.write_predictions(out, labelled.table, options.data)
    for finding in (*labelled.findings, *judged.findings):
        _say(one_line(f"{finding.level}: {finding.message} {finding.hint}".strip()), file=sys.stderr)
    _say(report.labels_as_text(labelled))
    if len(judged.scores):
        _say(report.cross_study_as_text(saved, judged))
    _say(f"{len(labelled.table):,} cells labelled: {out}")
    return DONE


def _export(options: argparse.Namespace) -> int:
    from yoto_core.files import keep_apart
    from yoto_core.store import portable

    model = _model_path(options.run)
    keep_apart(Path(options.out), {"the model that is exported": model, **_own_places()})
    path = portable.export_model(portable.load_model(model), Path(options.out))
    _say(f"The model with its card: {path}")
    return DONE


class _Bar:
    """A progress bar on a terminal, one plain line per phase otherwise."""

    def __init__(self) -> None:
        self.bar: tqdm | None = None
        self.message = ""

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            with suppress(OSError):
                self.bar.close()

    def __call__(self, progress: Progress) -> None:
        with suppress(OSError):  # the work goes on, whoever reads: the pipe may be closed, or the terminal
            self._show(progress)

    def _show(self, progress: Progress) -> None:
        if not sys.stderr.isatty():
            if progress.message != self.message:
                _say(one_line(progress.message), file=sys.stderr)
            self.message = progress.message
            return
        if self.bar is None or self.message != progress.phase:
            self.__exit__()
            self.bar = tqdm(total=progress.total, file=sys.stderr, leave=False)
            self.message = progress.phase
        self.bar.set_description(one_line(progress.message))
        self.bar.total = progress.total
        self.bar.update(progress.done - self.bar.n)


def _run_folder(name: str) -> Path:
    from yoto_core.store.folders import run_folder

    return Path(name) if Path(name).is_dir() else run_folder(name)


def _model_path(name: str) -> Path:
    return Path(name) if Path(name).is_file() else _run_folder(name)


def _own_places() -> dict[str, Path]:
    """Where this program keeps what it alone writes."""
    from yoto_core.files import home

    return {f"the {name} that YOTO keeps": home() / name for name in ("runs", "data", "models")}


def _free(target: Path, data: Path) -> Path:
    from yoto_core.files import keep_apart, saving

    if target.exists() or target.is_symlink():
        raise RunError(f"{target} exists already.", hint="Name a folder that does not exist yet.")
    keep_apart(target, {"the data that are read": data, **_own_places()})
    with saving():
        target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _move(folder: Path, target: Path) -> Path:
    import shutil

    from yoto_core.files import saving

    with saving():
        return Path(shutil.move(folder, target))


def _read_list(path: str | None) -> tuple[str, ...]:
    if not path:
        return ()
    try:
        return split_list(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"The gene list {path} cannot be read.", hint="Give a text file with one gene per line."
        ) from None


def _probability(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"“{text}” is not a probability; give 0 to 1")


def _pair(text: str) -> tuple[str, str]:
    task, equals, column = text.partition("=")
    if not (task and equals and column):
        raise argparse.ArgumentTypeError(f"“{text}” is not TASK=OBS")
    return task, column


def _families(text: str) -> tuple[str, ...]:
    names = split_list(text or "")
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        raise ConfigError(f"There is no gene family “{unknown[0]}”.", hint=f"Families are {', '.join(FAMILIES)}.")
    return names


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m yoto_core", description="Choose a gene panel from labelled cells.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    select = commands.add_parser("select", help="choose a panel from a data file")
    select.set_defaults(command=_select)
    select.add_argument("data", metavar="DATA", help="an .h5ad file")
    select.add_argument(
        "--task", action="append", required=True, metavar="OBS[:KIND][:WEIGHT]", help="an obs column to predict; repeat"
    )
    select.add_argument("--panel-size", type=int, required=True, metavar="K", help="how many genes")
    select.add_argument("--group", default="", metavar="OBS", help="hold out whole groups, for instance donors")
    select.add_argument("--include", metavar="FILE", help="genes that the panel must hold")
    select.add_argument("--exclude", metavar="FILE", help="genes that it must not hold")
    select.add_argument("--exclude-families", metavar="A,B", help=f"of {', '.join(FAMILIES)}")
    select.add_argument("--seed", type=int, default=0, metavar="N", help="the same seed gives the same panel")
    select.add_argument("--set", action="append", default=[], metavar="SECTION.FIELD=VALUE", help="any other setting")
    select.add_argument("--out", metavar="DIR", help="where the run folder goes (default: with the other runs)")

    demo = commands.add_parser("demo", help="the main job on the shipped data, start to finish")
    demo.set_defaults(command=_demo)
    demo.add_argument("--out", metavar="DIR", help="where the run folder goes")

    inspect = commands.add_parser("inspect", help="what a data file holds and what it can be used for")
    inspect.set_defaults(command=_inspect)
    inspect.add_argument("data", metavar="DATA")
    inspect.add_argument("--json", action="store_true", help="as JSON")

    commands.add_parser("list", help="runs of this machine").set_defaults(command=_list)

    show = commands.add_parser("show", help="the result of one run")
    show.set_defaults(command=_show)
    show.add_argument("run", metavar="RUN", help="a run id or a run folder")

    predict = commands.add_parser("predict", help="label new cells with a run's model")
    predict.set_defaults(command=_predict)
    predict.add_argument("run", metavar="RUN", help="a run id, a run folder or a .yoto file")
    predict.add_argument("data", metavar="DATA", help="an .h5ad file; only the panel's genes need be in it")
    predict.add_argument(
        "--out", required=True, metavar="FILE", help="a .csv file, or .h5ad: the data with answers in obs"
    )
    predict.add_argument(
        "--threshold", type=_probability, default=0.5, metavar="P", help="“not sure” below this probability (0.5)"
    )
    predict.add_argument("--impute", action="store_true", help="take missing panel genes as average (training means)")
    predict.add_argument("--matrix", default="auto", metavar="NAME", help="auto, X, raw.X or layers/NAME")
    predict.add_argument(
        "--truth", action="append", default=[], type=_pair, metavar="TASK=OBS",
        help="score against this obs column; repeat (default: columns named like the tasks)",
    )  # fmt: skip

    export = commands.add_parser("export", help="a run's model as one file for others")
    export.set_defaults(command=_export)
    export.add_argument("run", metavar="RUN", help="a run id or a run folder")
    export.add_argument("--out", required=True, metavar="FILE.yoto")
    return parser


if __name__ == "__main__":
    raise SystemExit(run())
