import inspect
import itertools
import re

import numpy as np
import pytest

from kd_bench.data.fractions import hold_out, stratified_order, subset, take
from kd_bench.data.images import Images
from kd_bench.errors import DataError

UNBALANCED = np.random.default_rng(1).choice(5, size=1297, p=[0.4, 0.3, 0.2, 0.07, 0.03]).astype(np.int32)


def test_the_order_is_a_permutation():
    order = stratified_order(UNBALANCED, 0)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(1297))


def test_every_prefix_is_stratified_to_within_one_image():
    ordered = UNBALANCED[stratified_order(UNBALANCED, 3)]
    one_hot = ordered[:, None] == np.arange(5)
    expected = np.arange(1, 1298)[:, None] * one_hot.mean(axis=0)
    assert np.abs(one_hot.cumsum(axis=0) - expected).max() <= 1


@pytest.mark.parametrize(("fraction", "a_class"), [(0.5, 250), (0.25, 125), (0.1, 50)])
def test_balanced_classes_get_exactly_their_share(fraction, a_class):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(100), 500))
    assert np.bincount(labels[subset(labels, fraction, 0)]).tolist() == [a_class] * 100


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.25, 0.1, 0.333])
def test_the_size_is_exact(fraction):
    chosen = subset(UNBALANCED, fraction, 0)
    assert len(chosen) == len(set(chosen)) == round(1297 * fraction)


def test_smaller_fractions_are_inside_larger_ones():
    nested = [set(subset(UNBALANCED, fraction, 0)) for fraction in (0.1, 0.25, 0.5, 1.0)]
    assert all(small < large for small, large in itertools.pairwise(nested))


def test_the_subset_seed_alone_decides():
    assert np.array_equal(subset(UNBALANCED, 0.25, 4), subset(UNBALANCED, 0.25, 4))
    assert not np.array_equal(subset(UNBALANCED, 0.25, 4), subset(UNBALANCED, 0.25, 5))
    assert list(inspect.signature(subset).parameters) == ["labels", "fraction", "subset_seed"]


def test_the_full_set_is_itself_whatever_the_seed():
    assert np.array_equal(subset(UNBALANCED, 1.0, 9), np.arange(1297))


def test_a_class_without_images_is_refused_with_a_fraction_that_works():
    labels = np.array([0] * 90 + [7] * 10)
    with pytest.raises(
        DataError, match=r"fraction=0\.01 keeps 1 of 100 images and none of class 7.* is (\S+)\."
    ) as caught:
        subset(labels, 0.01, 0)
    smallest = float(str(caught.value).rsplit(" ", 1)[1].rstrip("."))
    assert set(labels[subset(labels, smallest, 0)]) == {0, 7}
    with pytest.raises(DataError):
        subset(labels, smallest - 0.01, 0)


@pytest.mark.parametrize("fraction", [0, -0.5, 1.5])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(DataError, match=r"fraction=.*above 0 and at most 1"):
        subset(UNBALANCED, fraction, 0)


@pytest.mark.parametrize("validation", [0.1, 0.5, 0.333])
def test_what_is_held_out_is_exact_stratified_and_apart(validation):
    training, held_out = hold_out(UNBALANCED, validation, 0)
    assert len(held_out) == round(1297 * validation)
    assert np.array_equal(np.sort(np.concatenate([training, held_out])), np.arange(1297))
    expected = np.bincount(UNBALANCED) * len(held_out) / 1297
    assert np.abs(np.bincount(UNBALANCED[held_out]) - expected).max() <= 1


def test_the_subset_seed_decides_what_is_held_out_by_draws_of_its_own():
    held_out = hold_out(UNBALANCED, 0.25, 4)[1]
    assert np.array_equal(held_out, hold_out(UNBALANCED, 0.25, 4)[1])
    assert not np.array_equal(held_out, hold_out(UNBALANCED, 0.25, 5)[1])
    assert not np.array_equal(held_out, subset(UNBALANCED, 0.25, 4))


def test_a_share_that_leaves_a_class_without_images_is_refused_with_those_that_work():
    labels = np.array([0] * 90 + [7] * 10)
    with pytest.raises(DataError, match=r"^validation=0\.01 leaves 1 of 100 images for evaluation .* class 7") as few:
        hold_out(labels, 0.01, 0)
    with pytest.raises(DataError, match=r"^validation=0\.99 leaves 1 of 100 images for training .* class 7") as many:
        hold_out(labels, 0.99, 0)
    assert str(few.value).split(";")[1] == str(many.value).split(";")[1]
    smallest, largest = (float(found) for found in re.findall(r"(?:is|largest) (0\.\d+)", str(few.value)))
    for share in (smallest, largest):
        assert all(set(labels[side]) == {0, 7} for side in hold_out(labels, share, 0))
    for share in (smallest - 0.01, largest + 0.01):
        with pytest.raises(DataError):
            hold_out(labels, share, 0)


def test_a_class_of_one_image_cannot_be_on_both_sides():
    with pytest.raises(DataError, match="no share leaves every class on both sides; raise fraction"):
        hold_out(np.array([0] * 9 + [1]), 0.5, 0)


def test_take():
    images = Images(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.arange(4, dtype=np.int32))
    taken = take(images, np.array([3, 1]))
    assert taken.pixels.ravel().tolist() == taken.labels.tolist() == [3, 1]


def test_take_of_rows():
    images = Images(np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1), np.array([2, 3, 0]), np.array([2, 3, 0]))
    taken = take(images, np.array([2, 1]))
    assert taken.read(np.arange(2)).ravel().tolist() == taken.labels.tolist() == [0, 3]


def test_taking_all_images_copies_none():
    images = Images(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4, dtype=np.int32))
    assert take(images, np.arange(4)).pixels is images.pixels
    np.testing.assert_array_equal(take(images, np.array([3, 2, 1, 0])).labels, [3, 2, 1, 0])
