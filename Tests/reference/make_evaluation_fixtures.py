#!/usr/bin/env python3
"""Writes Tests/EvaluationTests/Fixtures/evaluation.json: small inputs of the measures of `gan-dist evaluate`, and what
NumPy, SciPy and scikit-learn make of them.

    python3 Tests/reference/make_evaluation_fixtures.py        (needs numpy, scipy and scikit-learn)

Inputs are float32 values; everything is computed from them in float64.
"""
import json
import pathlib

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.ndimage
import scipy.spatial
import scipy.special
import scipy.stats
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.neighbors import KernelDensity, NearestNeighbors

random = np.random.default_rng(20140610)
cases = {}


def uniform(*shape):
    return random.random(shape, dtype=np.float32).astype(np.float64)


def normal(*shape):
    return random.standard_normal(shape, dtype=np.float32).astype(np.float64)


def parzen():
    centres, examples = uniform(30, 12), uniform(140, 12)
    deviations = np.logspace(-1, 0, 10)
    values = [KernelDensity(bandwidth=deviation).fit(centres).score_samples(examples) for deviation in deviations]
    return {"centres": centres, "examples": examples, "deviations": deviations, "log_likelihoods": np.stack(values, 1)}


def rank_sum():
    first, second = np.round(normal(50), 1), np.round(normal(70) + 0.3, 1)
    test = scipy.stats.mannwhitneyu(first, second, alternative="less", method="asymptotic")
    return {"first": first, "second": second, "statistic": test.statistic, "p_value": test.pvalue,
            "quantiles": np.quantile(first, [0, 0.05, 0.25, 0.5, 0.75, 0.95])}


def modes():
    means = np.array([[x, y] for x in (-1, 1) for y in (-1, 1)], dtype=np.float64)
    points = (means[random.integers(0, 3, 200)] + 0.15 * normal(200, 2)).astype(np.float32).astype(np.float64)
    distances = scipy.spatial.distance.cdist(points, means)
    nearest = distances.argmin(1)[distances.min(1) <= 0.3]
    counts = np.bincount(nearest, minlength=4)
    return {"means": means, "deviation": 0.1, "points": points, "counts": counts,
            "reverse_kl": scipy.stats.entropy(counts, np.ones(4))}


def nearest():
    data, queries = uniform(300, 6), uniform(20, 6)
    distances, indices = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(data).kneighbors(queries)
    return {"data": data, "queries": queries, "indices": indices, "distances": distances}


def divergence_of_two_normals():
    """The Jensen-Shannon divergence of N(4, 0.5²) and N(5, 0.5²)."""
    p, q = scipy.stats.norm(4, 0.5).pdf, scipy.stats.norm(5, 0.5).pdf

    def integrand(x):
        middle = (p(x) + q(x)) / 2
        return (p(x) * np.log(p(x) / middle) + q(x) * np.log(q(x) / middle)) / 2

    return {"jsd": scipy.integrate.quad(integrand, -1, 10, limit=200)[0]}


def frechet():
    first, second = normal(40, 5) @ normal(5, 5), normal(60, 5) @ normal(5, 5) + 0.5
    first, second = first.astype(np.float32).astype(np.float64), second.astype(np.float32).astype(np.float64)
    one, other = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    root = scipy.linalg.sqrtm(one @ other)  # the unsymmetric form of the released FID code
    distance = np.sum((first.mean(0) - second.mean(0)) ** 2) + np.trace(one) + np.trace(other) - 2 * np.trace(root).real
    return {"first": first, "second": second, "covariance": one, "distance": distance}


def discrepancy():
    """Two blocks of twenty examples."""
    first, second = normal(40, 4), (normal(40, 4) * 1.5).astype(np.float32).astype(np.float64)
    deviation = np.median(scipy.spatial.distance.pdist(second))

    def unbiased(kernel, x, y):
        m = len(x)
        own = sum((kernel(z, z).sum() - np.trace(kernel(z, z))) / (m * (m - 1)) for z in (x, y))
        return own - 2 * kernel(x, y).mean()

    def blocks(kernel):
        return [unbiased(kernel, first[i:i + 20], second[i:i + 20]) for i in (0, 20)]

    return {"first": first, "second": second, "deviation": deviation,
            "gaussian": blocks(lambda x, y: rbf_kernel(x, y, gamma=1 / (2 * deviation**2))),
            "cubic": blocks(lambda x, y: polynomial_kernel(x, y, degree=3, gamma=1 / 4, coef0=1))}


def manifolds():
    real, samples = normal(120, 3), (0.7 * normal(100, 3) + 0.4).astype(np.float32).astype(np.float64)

    def radii(points, k):
        return NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points)[0][:, -1]

    between = scipy.spatial.distance.cdist(samples, real)
    within = between <= radii(real, 5)
    return {"real": real, "samples": samples, "precision": (between <= radii(real, 3)).any(1).mean(),
            "recall": (between <= radii(samples, 3)[:, None]).any(0).mean(),
            "density": within.sum() / (5 * len(samples)), "coverage": within.any(0).mean()}


def score():
    logits = 3 * normal(50, 4)
    probabilities = scipy.special.softmax(logits, 1)
    scores = [np.exp(scipy.stats.entropy(part.T, part.mean(0)[:, None]).mean()) for part in np.split(probabilities, 10)]
    counts = np.bincount(probabilities.argmax(1), minlength=4)
    other = np.array([20, 10, 5, 15])
    return {"logits": logits, "scores": scores, "histogram": counts, "other": other,
            "divergence": scipy.stats.entropy(counts, other)}


def pyramid():
    """As the released code of Karras et al. 2018 makes it: two levels of an image of 28 × 28 with 2 channels, NHWC."""
    filter = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256.0
    images = np.round(uniform(1, 28, 28, 2) * 255) / 256
    half = scipy.ndimage.convolve(images, filter, mode="mirror")[:, ::2, ::2]
    spread = np.zeros_like(images)
    spread[:, ::2, ::2] = half
    detail = images - scipy.ndimage.convolve(spread, 4 * filter, mode="mirror")
    return {"images": images, "detail": detail.astype(np.float32), "half": half.astype(np.float32)}


def sliced():
    """SciPy's one-dimensional distance over twenty directions, of vectors and of normalised patches."""
    first, second = normal(60, 5), (1.3 * normal(60, 5) + 0.2).astype(np.float32).astype(np.float64)

    def directions(length):
        vectors = normal(20, length)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)

    def distance(x, y, along):
        return np.mean([scipy.stats.wasserstein_distance(x @ v, y @ v) for v in along])

    images = [np.round(uniform(3, 9, 8, 2) * 255) / 256 for _ in range(2)]
    corners = np.stack([random.integers(0, 3, (3, 4)), random.integers(0, 2, (3, 4))], -1)

    def patches(stack):
        found = np.stack([stack[n, y:y + 7, x:x + 7] for n in range(3) for y, x in corners[n]])
        return ((found - found.mean((0, 1, 2))) / found.std((0, 1, 2))).reshape(12, -1)

    along, patch_along = directions(5), directions(98)
    return {"first": first, "second": second, "directions": along, "distance": distance(first, second, along),
            "images": images[0], "other_images": images[1], "corners": corners[..., 0] * 8 + corners[..., 1],
            "patch_directions": patch_along,
            "patch_distance": distance(patches(images[0]), patches(images[1]), patch_along)}


def numbers(value):
    """Flat, in rows, with nine digits for what was float32."""
    value = np.asarray(value, dtype=np.float64).ravel()
    return [float(f"{x:.9g}") if np.float32(x) == x else float(x) for x in value]


def intrinsic_dimension():
    """Levina & Bickel 2004, eq. 8, with the mean of 1/m of MacKay & Ghahramani 2005, k = 6; the last point twice."""
    points, k = normal(80, 2) @ np.array([[1, 0.5, 0, 2], [0, 1, -1, 0.25]]), 6
    points = np.concatenate([points, points[-1:]]).astype(np.float32).astype(np.float64)
    # Points that have a copy are left out as centres, not as neighbours.
    distances = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points[:-2])[0][:, 1:]
    inverses = np.log(distances[:, -1:] / distances[:, :-1]).sum(1) / (k - 1)
    mean = inverses.mean()
    return {"points": points, "dimension": 1 / mean, "error": inverses.std() / np.sqrt(len(inverses)) / mean**2}


def pixels():
    """Images [16, 6, 5, 2] of which one pixel never changes: correlations by distance, variances of the Laplacian."""
    data = np.round(64 * scipy.ndimage.gaussian_filter(normal(16, 6, 5, 2), (0, 1, 1, 0))) / 64
    samples = np.round(64 * uniform(16, 6, 5, 2)) / 64
    samples[:, 2, 3, 1] = 0.25

    def correlations(images):
        with np.errstate(invalid="ignore"):
            return [np.nan_to_num(np.corrcoef(images[..., channel].reshape(16, -1).T)) for channel in range(2)]

    place = np.stack(np.meshgrid(np.arange(6), np.arange(5), indexing="ij"), -1).reshape(-1, 2)
    apart = np.rint(scipy.spatial.distance.cdist(place, place)).astype(int)
    mine, theirs = correlations(samples), correlations(data)
    off = ~np.eye(30, dtype=bool)

    def by_distance(values):
        return [np.mean([value[off & (apart == distance)] for value in values])
                for distance in range(1, apart.max() + 1)]

    def sharpness(images):
        return [scipy.ndimage.laplace(image)[1:-1, 1:-1].var() for image in images.mean(-1)]

    differences = [np.abs(a - b) for a, b in zip(mine, theirs)]
    return {"samples": samples, "data": data, "difference": np.mean([value[off] for value in differences]),
            "by_distance": by_distance(differences), "samples_by_distance": by_distance(mine),
            "data_by_distance": by_distance(theirs), "sharpness": sharpness(samples),
            "data_sharpness": sharpness(data)}


def line(modes):
    """Data of equal Gaussians of deviation 0.5 on a line, q = N(5, 0.5²), D(x) = σ(4.5 − x): the terms of Goodfellow et
    al. 2014, proposition 1 and theorem 1."""
    def p(x):
        return np.mean([scipy.stats.norm.pdf(x, mode, 0.5) for mode in modes], axis=0)

    def integral(integrand):
        return scipy.integrate.quad(integrand, -8, 12, points=[*modes, 5], limit=500)[0]

    def term(first, second):
        return scipy.special.xlogy(first, 2 * first / (first + second))

    q = scipy.stats.norm(5, 0.5).pdf
    jsd = integral(lambda x: (term(p(x), q(x)) + term(q(x), p(x))) / 2)
    return {"jsd": jsd, "best_value": 2 * jsd - np.log(4),
            "value": integral(lambda x: -p(x) * np.logaddexp(0, x - 4.5) - q(x) * np.logaddexp(0, 4.5 - x)),
            "distance": integral(lambda x: np.abs((p(x) + q(x)) * scipy.special.expit(4.5 - x) - p(x)) / 2)}


def line_gaussian1d():
    return line([4])


def line_mixture1d():
    return line([-2, 2])


def gradient_variance():
    """tr Cov of the gradient with respect to (w, b) of G(z) = w z + b at (0.5, 5), of each cost of s = 4.5 − G(z)."""
    slopes = {"minimax": lambda s: -scipy.special.expit(s), "non-saturating": lambda s: -scipy.special.expit(-s),
              "maximum-likelihood": lambda s: -np.exp(s), "reverse-kl": lambda s: -1.0}

    def mean(value):
        return scipy.integrate.quad(lambda z: value(z) * scipy.stats.norm.pdf(z), -12, 12, limit=200)[0]

    def variance(slope):
        def parts(z):
            return -slope(4.5 - (0.5 * z + 5)) * np.array([z, 1])

        return mean(lambda z: (parts(z)**2).sum()) - sum(mean(lambda z: parts(z)[axis])**2 for axis in (0, 1))

    return {cost: variance(slope) for cost, slope in slopes.items()}


for case in (parzen, rank_sum, modes, nearest, divergence_of_two_normals, frechet, discrepancy, manifolds, score,
             pyramid,
             sliced, intrinsic_dimension, pixels, line_gaussian1d, line_mixture1d, gradient_variance):
    cases[case.__name__] = {name: numbers(value) for name, value in case().items()}
target = pathlib.Path(__file__).resolve().parents[1] / "EvaluationTests/Fixtures/evaluation.json"
target.write_text(json.dumps(cases, separators=(",", ":"), indent=None).replace("},", "},\n") + "\n")
print(target, target.stat().st_size, "bytes")
