import math

import pytest
import torch

from get3d.metrics import (
    coverage,
    minimum_matching_distance,
    minimum_matching_distance_by_label,
    nearest_neighbour_accuracy,
    with_invalid,
)

INF = math.inf


def distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a[:, None] - b).norm(dim=2)


def naive_accuracy(generated: torch.Tensor, reference: torch.Tensor) -> float:
    everything = torch.cat([generated, reference])
    labels = [True] * len(generated) + [False] * len(reference)
    right = 0
    for i, shape in enumerate(everything):
        apart = (everything - shape).norm(dim=1)
        apart[i] = INF
        right += labels[int(apart.argmin())] == labels[i]
    return right / len(everything)


def test_coverage_and_mmd_by_hand():
    between = torch.tensor([[0.1, 0.4, 0.9], [0.2, 0.3, 0.8], [0.7, 0.05, 0.6]])
    assert coverage(between) == pytest.approx(2 / 3)
    assert minimum_matching_distance(between) == pytest.approx((0.1 + 0.05 + 0.6) / 3)


def test_mmd_by_label_is_that_of_the_references_with_the_label():
    between = torch.tensor([[0.1, 0.4, 0.9], [INF, INF, INF], [0.7, 0.05, 0.6]])
    found = minimum_matching_distance_by_label(between, ["mug", "bowl", "mug"])
    assert list(found) == ["bowl", "mug"]
    assert found["mug"] == pytest.approx(minimum_matching_distance(between[:, [0, 2]]))
    assert found["bowl"] == pytest.approx(0.05)
    assert minimum_matching_distance_by_label(between[1:2], ["a", "a", "a"]) == {"a": INF}
    with pytest.raises(ValueError, match="one for each of 3 references, got 2"):
        minimum_matching_distance_by_label(between, ["a", "b"])


def test_copies_cover_everything():
    shapes = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))
    between = distances(shapes, shapes)
    assert coverage(between) == 1.0
    assert minimum_matching_distance(between) == pytest.approx(0, abs=1e-7)


def test_one_shape_again_and_again_covers_one():
    between = torch.rand(1, 8, generator=torch.Generator().manual_seed(0)).expand(40, 8)
    assert coverage(between) == 1 / 8


def test_ties_go_to_the_first_reference():
    assert coverage(torch.ones(50, 70)) == 1 / 70
    between = torch.tensor([[1.0, 0.5, 0.5], [0.5, 1.0, 0.5]])
    assert coverage(between) == pytest.approx(2 / 3)


def test_invalid_generated_shapes_match_no_reference_and_count():
    between = torch.tensor([[0.1, 0.4], [INF, INF], [0.2, 0.3]])
    assert coverage(between) == 0.5
    assert minimum_matching_distance(between) == pytest.approx(0.2)
    nothing = torch.full((3, 2), INF)
    assert coverage(nothing) == 0.0
    assert minimum_matching_distance(nothing) == INF


def test_rows_of_invalid_shapes_are_put_back():
    is_valid = torch.tensor([True, False, True])
    between = with_invalid(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), is_valid)
    assert between.tolist() == [[1, 2], [INF, INF], [3, 4]]
    assert with_invalid(torch.zeros(0, 2), torch.zeros(3, dtype=torch.bool)).shape == (3, 2)
    with pytest.raises(ValueError, match="1 rows for 2 valid shapes"):
        with_invalid(torch.zeros(1, 2), is_valid)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0])
def test_accuracy_is_that_of_a_classifier(seed, shift):
    random = torch.Generator().manual_seed(seed)
    generated = torch.rand(30, 2, generator=random) + shift
    reference = torch.rand(30, 2, generator=random)
    found = nearest_neighbour_accuracy(
        distances(generated, reference),
        distances(generated, generated),
        distances(reference, reference),
    )
    assert found == pytest.approx(naive_accuracy(generated, reference))


def test_accuracy_of_like_unlike_and_copied_sets():
    random = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 400, 3, generator=random)
    within_a, within_b = distances(a, a), distances(b, b)
    alike = nearest_neighbour_accuracy(distances(a, b), within_a, within_b)
    assert alike == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(800))
    assert nearest_neighbour_accuracy(distances(a, b + 9), within_a, within_b) == 1.0
    assert nearest_neighbour_accuracy(distances(a, a), within_a, within_a) == 0.0


def test_ties_count_half():
    same = torch.ones(5, 5)
    assert nearest_neighbour_accuracy(same, same, same) == 0.5


def test_invalid_shapes_are_classified_correctly_and_no_neighbours():
    # On a line: the invalid one would be next to reference 0 if it counted.
    generated, reference = torch.tensor([[0.0], [5.0], [6.0]]), torch.tensor([[0.1], [5.4], [0.6]])
    between, within = distances(generated, reference), distances(generated, generated)
    references = distances(reference, reference)
    # Right are the generated at 5 no (5.4), at 6 no (5.4), at 0 no; references at 0.1 no, 0.6 yes.
    assert nearest_neighbour_accuracy(between, within, references) == pytest.approx(1 / 6)
    between[0], within[0], within[:, 0] = INF, INF, INF
    # Now the invalid one counts as right, and the reference at 0.1 has the one at 0.6.
    assert nearest_neighbour_accuracy(between, within, references) == pytest.approx(3 / 6)
    nothing = torch.full((3, 3), INF)
    assert nearest_neighbour_accuracy(nothing, nothing, references) == 1.0


def test_invalid_references_raise():
    between = torch.tensor([[0.1, INF], [0.2, INF]])
    for compute in (coverage, minimum_matching_distance):
        with pytest.raises(ValueError, match="reference shape 1 is invalid"):
            compute(between)
    within = torch.tensor([[0.0, INF], [INF, 0.0]])
    with pytest.raises(ValueError, match="within a set must be finite"):
        nearest_neighbour_accuracy(torch.ones(2, 2), torch.ones(2, 2), within)


@pytest.mark.parametrize("value", [math.nan, -1.0, -INF])
def test_distances_that_are_none_raise(value):
    between = torch.ones(3, 3)
    bad = between.clone()
    bad[1, 2] = value
    for compute in (coverage, minimum_matching_distance):
        with pytest.raises(ValueError, match="NaN or negative"):
            compute(bad)
    with pytest.raises(ValueError, match="NaN or negative"):
        nearest_neighbour_accuracy(bad, between, between)
    with pytest.raises(ValueError, match="finite and not negative"):
        nearest_neighbour_accuracy(between, bad, between)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_sets_raise(shape):
    for compute in (coverage, minimum_matching_distance):
        with pytest.raises(ValueError, match="at least one generated and one reference"):
            compute(torch.zeros(shape))


def test_sets_of_different_sizes_raise():
    with pytest.raises(ValueError, match=r"5 generated and 3 reference shapes; .* first 3"):
        nearest_neighbour_accuracy(torch.ones(5, 3), torch.ones(5, 5), torch.ones(3, 3))
    with pytest.raises(ValueError, match="at least 2"):
        nearest_neighbour_accuracy(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1))
    with pytest.raises(ValueError, match=r"must be \(3, 3\) as between"):
        nearest_neighbour_accuracy(torch.ones(3, 3), torch.ones(4, 4), torch.ones(3, 3))
