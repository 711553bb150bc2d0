"""Points on a map: the same for the same seed, near what they are near to, refused when unfit."""

import numpy as np
import pytest

from mowe.analysis.map.projection import agreement, nearest, pca, place, umap
from mowe.errors import RecordsError


def clusters(count=40, dim=16, seed=0):
    """Two far groups of points, and which is which."""
    draw = np.random.default_rng(seed)
    centres = np.zeros((2, dim))
    centres[0, 0] = centres[1, 1] = 10.0
    groups = np.arange(count) % 2
    return (centres[groups] + draw.normal(size=(count, dim))).astype(np.float32), groups


def test_pca_finds_the_direction_in_which_points_differ():
    line = np.outer(np.arange(5.0), [3.0, 4.0, 0.0]) + 7.0
    line[:, 2] += [0.0, 0.1, 0.0, -0.1, 0.0]
    found = pca(line.astype(np.float32))
    steps = np.abs(np.diff(found.coordinates[:, 0]))
    assert steps == pytest.approx([5.0] * 4, abs=0.01)  # the length of (3, 4)
    assert found.settings["explained"] == pytest.approx(1.0, abs=0.001)


@pytest.fixture(scope="module")
def laid_out():
    vectors, groups = clusters()
    return vectors, groups, umap(vectors, neighbours=8, seed=3)


def test_umap_is_the_same_for_the_same_seed_and_another_for_another(laid_out):
    vectors, _, found = laid_out
    again = umap(vectors, neighbours=8, seed=3)
    other = umap(vectors, neighbours=8, seed=4)
    assert np.array_equal(again.coordinates, found.coordinates)
    assert not np.allclose(other.coordinates, found.coordinates)


def test_umap_keeps_groups_apart(laid_out):
    _, groups, found = laid_out
    shared, by_chance = agreement(found.coordinates, list(groups))
    assert shared > 0.95
    assert by_chance == pytest.approx(20 * 19 * 2 / (40 * 39))


def test_agreement_counts_neighbours_of_the_same_value():
    row = np.array([[0.0, 0.0], [1.0, 0.0], [2.1, 0.0]])
    shared, by_chance = agreement(row, ["a", "a", "b"])  # every point has both others around it
    assert shared == pytest.approx(2 / 6)
    assert by_chance == pytest.approx(2 / 6)


def test_a_point_of_the_map_is_placed_on_itself_and_a_new_one_among_its_kind(laid_out):
    vectors, groups, found = laid_out
    for number in (0, 1, 17):
        where = place(vectors, found.coordinates, vectors[number])
        assert np.allclose(where, found.coordinates[number], atol=1e-2)
    new, kinds = clusters(6, seed=9)
    for vector, kind in zip(new, kinds, strict=True):
        where = place(vectors, found.coordinates, vector)
        near = np.argsort(np.linalg.norm(found.coordinates - where, axis=1))[:5]
        assert set(groups[near]) == {kind}


def test_the_nearest_come_first_and_the_same_direction_is_at_cosine_distance_zero():
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=np.float32)
    places, distances = nearest(vectors, np.array([2.0, 0.0], dtype=np.float32), 3)
    assert places.tolist() == [0, 2, 1]
    assert distances == pytest.approx([0.0, 1 - np.sqrt(0.5), 1.0], abs=1e-6)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: umap(clusters(9)[0], neighbours=15), "9 recordings are too few .* it needs 16"),
        (lambda: pca(clusters(2)[0]), "2 recordings are too few"),
        (lambda: pca(np.ones((30, 4), np.float32)), "all embeddings are the same"),
        (lambda: pca(np.full((30, 4), np.nan, np.float32)), "not finite"),
        (lambda: pca(clusters()[0], dims=4), "2 or 3 dimensions, found 4"),
        (lambda: umap(clusters()[0], metric="dice"), "correlation, found 'dice'"),
        (lambda: umap(clusters()[0], distance=2.0), "distance is 0 to 0.99, found 15, 2.0"),
        (lambda: nearest(clusters()[0], np.ones(3, np.float32), 2), "vectors of 16, .* has 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_laid_out_is_one_sentence(make, sentence):
    with pytest.raises(RecordsError, match=sentence):
        make()
