#!/usr/bin/env python3
"""Writes Tests/MixturesTests/Fixtures/mixtures.json: expectation–maximisation by scikit-learn from a given start.

Needs NumPy and scikit-learn. For each kind of covariance: the examples, the start, and the weights, means, covariances
and the mean ln p of the examples after 1, 2 and 5 iterations; and principal components of the examples.
"""

import json
import pathlib

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

generator = np.random.default_rng(1)
EXAMPLES = np.concatenate([generator.normal((0, 0, 1), (1, 0.5, 2), (31, 3)), generator.normal((3, -1, 0), 1, (26, 3)),
                           generator.normal((-2, 2, 2), (0.3, 0.4, 0.5), (20, 3)) @ np.array([[1, 0.5, 0], [0, 1, 0.2],
                                                                                             [0, 0, 1]])])
START = {"weights": [0.5, 0.3, 0.2], "means": [[0, 0, 0], [2, -1, 0], [-1, 2, 1]]}


def run(kind):
    variances = np.array([1.5, 2.0, 1.0])
    covariances = np.tile(np.diag(variances) if kind == "full" else variances, (3, 1, 1) if kind == "full" else (3, 1))
    precisions = np.linalg.inv(covariances) if kind == "full" else 1 / covariances
    found = {"start": START | {"covariances": covariances.ravel().tolist()}, "after": {}}
    for iterations in (1, 2, 5):
        model = GaussianMixture(3, covariance_type="full" if kind == "full" else "diag", reg_covar=0, tol=0,
                                max_iter=iterations, weights_init=START["weights"], means_init=START["means"],
                                precisions_init=precisions).fit(EXAMPLES)
        found["after"][iterations] = {"weights": model.weights_.tolist(), "means": model.means_.ravel().tolist(),
                                      "covariances": model.covariances_.ravel().tolist(),
                                      "logLikelihood": model.score(EXAMPLES)}
    found["start"]["means"] = np.ravel(START["means"]).astype(float).tolist()
    return found


def main():
    components = PCA(2).fit(EXAMPLES)
    found = {"examples": EXAMPLES.ravel().tolist(), "dimension": 3, "full": run("full"), "diagonal": run("diagonal"),
             "principal": {"mean": components.mean_.tolist(), "directions": components.components_.ravel().tolist(),
                           "explained": components.explained_variance_ratio_.sum()}}
    file = pathlib.Path(__file__).parent.parent / "MixturesTests/Fixtures/mixtures.json"
    file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
