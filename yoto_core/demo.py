"""The shipped real data set and the design it is shown with."""

from yoto_core.config import RunConfig, SelectorConfig, TaskConfig
from yoto_core.files import ASSETS

DEMO_FILE = ASSETS / "demo" / "kang2018_pbmc_ifnb.h5ad"
DEMO_NAME = "PBMC ± interferon-beta (Kang et al. 2018)"


def demo_config() -> RunConfig:
    """32 genes that tell the cell type and whether the cell saw interferon-beta."""
    tasks = (TaskConfig(obs="cell_type"), TaskConfig(obs="condition"))
    return RunConfig(tasks=tasks, selector=SelectorConfig(panel_size=32))
