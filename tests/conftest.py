"""A toy world with a planted answer, fixed seeds, no network, and no run folder outside the test's own."""

import ipaddress
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings
from scipy import sparse

from yoto_core.config import EvaluationConfig, RunConfig, SelectorConfig, TaskConfig, TrainingConfig
from yoto_core.data.reading import Dataset, from_anndata

pytest_plugins = ["tests.shared_browser"]  # its fixtures
settings.register_profile("yoto", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("yoto")
torch.set_num_threads(1)  # tensors of this size only lose time to more

CELLS = 300
CLASSES = ("B", "Mono", "NK", "T")
TYPE_GENES = {name: tuple(f"{name.upper()}{i}" for i in (1, 2, 3)) for name in CLASSES}
CONDITION_GENES = ("STIM1", "STIM2", "STIM3")
AGE_GENES = ("AGE1", "AGE2")
OTHER_GENES = ("MT-CO1", "MT-ND1", "RPL3", "RPS6", "MALAT1")
NOISE_GENES = tuple(f"NOISE{i}" for i in range(38))
GENES = (*(gene for genes in TYPE_GENES.values() for gene in genes), *CONDITION_GENES, *AGE_GENES, *OTHER_GENES)
GENES = (*GENES, *NOISE_GENES)


def make_toy(*, cells: int = CELLS, seed: int = 0, sparse_x: bool = True) -> anndata.AnnData:
    """Counts (cells × 60 genes) whose classes, condition and age each have genes of their own.

    cell_type: 4 classes, marked by TYPE_GENES; condition: 2 classes, CONDITION_GENES; age: a number, AGE_GENES;
    donor: 6 groups that hold every class and mark nothing.
    """
    rng = np.random.default_rng(seed)
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(np.array(CLASSES)[np.arange(cells) % 4]),
            "condition": pd.Categorical(np.where(rng.random(cells) < 0.5, "ctrl", "stim")),
            "age": np.round(rng.uniform(20, 80, cells), 1),
            "donor": pd.Categorical([f"D{i}" for i in (np.arange(cells) // 4) % 6]),
        },
        index=[f"cell{i}" for i in range(cells)],
    )
    place = {gene: i for i, gene in enumerate(GENES)}
    rate = np.full((cells, len(GENES)), 0.6)
    for name, genes in TYPE_GENES.items():
        rate[np.ix_(obs["cell_type"] == name, [place[gene] for gene in genes])] = 8
    rate[np.ix_(obs["condition"] == "stim", [place[gene] for gene in CONDITION_GENES])] = 8
    rate[:, [place[gene] for gene in AGE_GENES]] = (obs["age"].to_numpy()[:, None] - 15) / 3
    counts = rng.poisson(rate).astype(np.float32)
    var = pd.DataFrame({"gene_ids": [f"ENSG{i:011d}" for i in range(len(GENES))]}, index=list(GENES))
    return anndata.AnnData(sparse.csr_matrix(counts) if sparse_x else counts, obs=obs, var=var)


def make_cells(*, cells: int, genes: int, seed: int) -> np.ndarray:
    """Counts (cells × genes, float64) as sequencing gives them: cells of different depth, few genes with most transcripts."""
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0, 1.5, genes)
    depth = rng.lognormal(np.log(5 * genes), 0.5, cells)
    kinds = rng.lognormal(0, 0.7, (3, genes))[rng.integers(0, 3, cells)]
    rate = share * kinds
    return rng.poisson(depth[:, None] * rate / rate.sum(1, keepdims=True)).astype(np.float64)


@pytest.fixture
def toy() -> anndata.AnnData:
    """A fresh toy, free to be changed."""
    return make_toy()


@pytest.fixture(scope="session")
def toy_data() -> Dataset:
    """The toy as the core reads it; read only."""
    return from_anndata(make_toy(), name="toy")


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy as a file; read only."""
    path = tmp_path_factory.mktemp("toy") / "toy.h5ad"
    make_toy().write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def tiny_config() -> RunConfig:
    """Three tasks on the toy, small enough for a test."""
    return RunConfig(
        tasks=(TaskConfig(obs="cell_type"), TaskConfig(obs="condition"), TaskConfig(obs="age", kind="regression")),
        selector=SelectorConfig(panel_size=8),
        training=TrainingConfig(steps=60, fit_steps=40, replicas=2, batch_size=64, hidden=16),
        evaluation=EvaluationConfig(random_panels=1, bootstrap=50, maps="no", stability="no"),
        threads=1,
    )


@pytest.fixture(autouse=True)
def _same_seed_every_time() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOTO_HOME", str(tmp_path / "yoto-home"))


def is_local(family: int, address: Any) -> bool:
    """Whether a socket address stays on this machine."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return True
    try:
        return ipaddress.ip_address(address[0]).is_loopback
    except ValueError:
        return address[0] == "localhost"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def guarded(connect: Callable[[socket.socket, Any], Any]) -> Callable[[socket.socket, Any], Any]:
        def checked(self: socket.socket, address: Any) -> Any:
            if not is_local(self.family, address):
                raise AssertionError(f"A test tried to reach {address}: nothing here may use the network.")
            return connect(self, address)

        return checked

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guarded(getattr(socket.socket, name)))
