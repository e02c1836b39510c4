import pytest

from get3d.core.memory import Cost, memory_bytes


def test_megabytes() -> None:
    assert memory_bytes(16) == 16_000_000


@pytest.mark.parametrize("memory_mb", [15, 0, -1])
def test_too_little_to_work_with(memory_mb: int) -> None:
    with pytest.raises(ValueError, match=f"memory_mb must be at least 16 .*got {memory_mb}$"):
        memory_bytes(memory_mb)


@pytest.mark.parametrize(
    ("numbers", "num_points", "expected"),
    [
        (100_000, 1000, (9, 1000)),  # whole shapes, their own share included
        (11_000, 1000, (1, 1000)),
        (10_999, 1000, (1, 999)),
        (100_000, 50_000, (1, 9900)),
        (100, 1000, (1, 256)),  # not point by point, whatever the budget
    ],
)
def test_portions(numbers: int, num_points: int, expected: tuple[int, int]) -> None:
    cost = Cost(per_shape=1000, per_point=10)
    assert cost.portion(num_points, numbers=numbers) == expected
