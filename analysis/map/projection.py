"""Vectors of many recordings as points on a plane or in space."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from mowe.errors import RecordsError

NEIGHBOURS = 15  # UMAP's own default
DISTANCE = 0.1  # likewise; smallest distance between points on the map
METRIC = "cosine"
METRICS = ("cosine", "euclidean", "correlation")
SHARING = 10  # neighbours that `agreement` looks at
_PLACING = 5  # neighbours that say where a new point goes


@dataclass(frozen=True)
class Projection:
    """Where each point lies, and how that was found."""

    method: str  # "pca" or "umap"
    coordinates: np.ndarray  # (points, 2 or 3) float32
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def dims(self) -> int:
        """2 for a plane, 3 for space."""
        return int(self.coordinates.shape[1])


def pca(vectors: np.ndarray, dims: int = 2) -> Projection:
    """The directions in which the points differ most; at once and without settings.

    Args:
        vectors: `(points, dim)`.
        dims: 2 or 3.

    Raises:
        RecordsError: If there are too few points, or all are the same.
    """
    _check(vectors, dims, dims + 1)
    found = PCA(n_components=dims, svd_solver="full").fit(vectors)
    share = float(found.explained_variance_ratio_.sum())
    coordinates = found.transform(vectors).astype(np.float32)
    return Projection("pca", coordinates, {"explained": round(share, 3)})


def umap(
    vectors: np.ndarray,
    dims: int = 2,
    *,
    neighbours: int = NEIGHBOURS,
    distance: float = DISTANCE,
    metric: str = METRIC,
    seed: int = 0,
) -> Projection:
    """UMAP (McInnes et al., 2018): neighbours stay neighbours; distances between groups say little.

    The same vectors, settings and seed give the same coordinates, on one thread.

    Args:
        vectors: `(points, dim)`.
        dims: 2 or 3.
        neighbours: Few show fine structure, many the large one; at least 2.
        distance: Smallest distance between points on the map, 0 to 0.99.
        metric: One of `METRICS`.
        seed: Of its initialisation and sampling.

    Raises:
        RecordsError: If there are too few points, all are the same, or a setting is not allowed.
    """
    if metric not in METRICS:
        raise RecordsError(f"the metric is one of {', '.join(METRICS)}, found {metric!r}")
    if neighbours < 2 or not 0 <= distance <= 0.99:
        raise RecordsError(
            f"neighbours start at 2 and the distance is 0 to 0.99, found {neighbours}, {distance}"
        )
    _check(vectors, dims, neighbours + 1)
    from umap import UMAP  # takes seconds, so only where it is used

    settings = {
        "n_neighbors": neighbours, "min_dist": distance, "metric": metric, "random_state": seed,
    }  # fmt: skip
    with warnings.catch_warnings():  # few points: its spectral start falls back to a random one
        warnings.filterwarnings("ignore", category=UserWarning)
        reducer = UMAP(n_components=dims, n_jobs=1, **settings)
        coordinates = reducer.fit_transform(vectors)
    return Projection("umap", np.asarray(coordinates, dtype=np.float32), settings)


def nearest(
    vectors: np.ndarray, one: np.ndarray, count: int, metric: str = METRIC
) -> tuple[np.ndarray, np.ndarray]:
    """The points nearest to a vector.

    Args:
        vectors: `(points, dim)`.
        one: `(dim,)`.
        count: How many, fewer where there are fewer.
        metric: One of `METRICS`.

    Returns:
        Their places and distances, nearest first, `(count,)` each.

    Raises:
        RecordsError: If the vector has another width.
    """
    if one.shape[-1] != vectors.shape[1]:
        raise RecordsError(
            f"these records have vectors of {vectors.shape[1]}, the recording's has "
            f"{one.shape[-1]}; both must come from the same mixture"
        )
    search = NearestNeighbors(n_neighbors=min(count, len(vectors)), metric=metric).fit(vectors)
    distances, places = search.kneighbors(one[None])
    return places[0], distances[0]


def place(
    vectors: np.ndarray, coordinates: np.ndarray, one: np.ndarray, metric: str = METRIC
) -> np.ndarray:
    """Where a new vector goes on a map that is already drawn, `(dims,)`.

    Between its nearest neighbours, nearer ones pulling more: where UMAP's own `transform` begins
    (decision 0014). A vector that is on the map lands on itself.

    Raises:
        RecordsError: If the vector has another width.
    """
    places, distances = nearest(vectors, one, _PLACING, metric)
    pull = 1.0 / np.maximum(distances, 1e-9)
    where: np.ndarray = (pull[:, None] * coordinates[places]).sum(axis=0) / pull.sum()
    return where.astype(np.float32)


def agreement(coordinates: np.ndarray, values: list[Any]) -> tuple[float, float]:
    """How often a point's neighbours on the map have its value, and how often by chance.

    Args:
        coordinates: `(points, dims)`.
        values: One per point.

    Returns:
        Share of the `SHARING` nearest neighbours with the same value, and the share among all
        pairs of points.
    """
    _, codes = np.unique([str(one) for one in values], return_inverse=True)
    count = min(SHARING + 1, len(codes))
    search = NearestNeighbors(n_neighbors=count).fit(coordinates)
    around = search.kneighbors(coordinates, return_distance=False)
    others = around != np.arange(len(codes))[:, None]
    same = (codes[around] == codes[:, None]) & others
    sizes = np.bincount(codes)
    pairs = len(codes) * (len(codes) - 1)
    by_chance = float((sizes * (sizes - 1)).sum() / pairs) if pairs else 0.0
    return float(same.sum() / max(1, others.sum())), by_chance


def _check(vectors: np.ndarray, dims: int, least: int) -> None:
    if dims not in (2, 3):
        raise RecordsError(f"a map has 2 or 3 dimensions, found {dims}")
    if len(vectors) < least:
        raise RecordsError(
            f"{len(vectors)} recordings are too few for this map, it needs {least}; "
            "route more, or ask for fewer neighbours"
        )
    if not np.isfinite(vectors).all():
        raise RecordsError("some embeddings are not finite numbers; route the recordings again")
    if np.ptp(vectors, axis=0).max() == 0:
        raise RecordsError("all embeddings are the same, so there is nothing to lay out")
