"""Independent classifiers and regressors that score any gene set alike, whoever chose it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from yoto_core.data.targets import Target

TREES = 100
ITERATIONS = 2_000  # far above what data need: how many that is differs between processors
NEIGHBOURS = 15
RIDGE_PENALTIES = (0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)  # chosen among by leave-one-out on the training cells


@dataclass(frozen=True)
class Judge:
    """One kind of learner, for classes and for numbers; `seed` fixes what it leaves to chance."""

    name: str
    label: str
    for_classes: Callable[[int], BaseEstimator]
    for_numbers: Callable[[int], BaseEstimator]

    def answer(
        self, target: Target, train_x: sparse.csr_matrix, train_y: np.ndarray, test_x: sparse.csr_matrix, *, seed: int
    ) -> np.ndarray:
        """Learn from labelled training cells × genes and answer for the test cells: class codes or numbers."""
        learner = self.for_classes(seed) if target.classes else self.for_numbers(seed)
        if isinstance(learner, KNeighborsClassifier | KNeighborsRegressor):
            learner.set_params(n_neighbors=min(NEIGHBOURS, len(train_y)))
        return learner.fit(train_x, train_y).predict(test_x)


def logistic_regression() -> LogisticRegression:
    """Multinomial logistic regression: one of the judges, and what a rival ranks genes by."""
    return LogisticRegression(max_iter=ITERATIONS, tol=1e-3)


JUDGES = (
    Judge(
        "logistic",
        "Logistic regression",
        lambda _: logistic_regression(),
        lambda _: RidgeCV(RIDGE_PENALTIES),
    ),
    Judge(
        "forest",
        "Random forest",
        lambda seed: RandomForestClassifier(TREES, random_state=seed),
        lambda seed: RandomForestRegressor(TREES, max_features="sqrt", random_state=seed),
    ),
    Judge(
        "knn",
        "Nearest neighbours",
        lambda _: KNeighborsClassifier(NEIGHBOURS),
        lambda _: KNeighborsRegressor(NEIGHBOURS),
    ),
)

CHANCE = Judge(
    "chance",
    "Chance",
    lambda seed: DummyClassifier(strategy="stratified", random_state=seed),
    lambda _: DummyRegressor(strategy="mean"),
)
