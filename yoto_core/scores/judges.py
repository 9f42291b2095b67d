"""Independent classifiers and regressors that score any gene set alike, whoever chose it.

All of them read genes in standard deviations of the training cells and weigh classes alike, so that a rare class counts as
much as a common one, as it does in macro-F1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
        self, target: Target, train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, *, seed: int
    ) -> np.ndarray:
        """Learn from labelled training cells × genes and answer for the test cells: class codes or numbers."""
        learner = self.for_classes(seed) if target.classes else self.for_numbers(seed)
        if isinstance(learner, KNeighborsClassifier | KNeighborsRegressor):
            learner.set_params(n_neighbors=min(NEIGHBOURS, len(train_y)))
        return make_pipeline(StandardScaler(), learner).fit(train_x, train_y).predict(test_x)


class BalancedNeighbours(KNeighborsClassifier):
    """Nearest neighbours whose votes count by how rare their class is among the training cells."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> "BalancedNeighbours":
        """Keep the training cells and the share of each class."""
        super().fit(X, y)
        self.share_ = np.unique(y, return_counts=True)[1] / len(y)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """The class with the most votes in proportion to its share."""
        return self.classes_[np.argmax(self.predict_proba(X) / self.share_, axis=1)]


def logistic_regression() -> LogisticRegression:
    """Multinomial logistic regression that weighs classes alike: one of the judges, and what a rival ranks genes by."""
    return LogisticRegression(class_weight="balanced", max_iter=ITERATIONS, tol=1e-3)


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
        lambda seed: RandomForestClassifier(TREES, class_weight="balanced", random_state=seed),
        lambda seed: RandomForestRegressor(TREES, max_features="sqrt", random_state=seed),
    ),
    Judge(
        "knn",
        "Nearest neighbours",
        lambda _: BalancedNeighbours(NEIGHBOURS),
        lambda _: KNeighborsRegressor(NEIGHBOURS),
    ),
)
HEADLINE_JUDGE = JUDGES[0]  # its macro-F1 or R² is the score of a panel, wherever one number stands for it
