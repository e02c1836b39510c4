"""How much memory goes to work that can be done in portions, and how large those are."""

from dataclasses import dataclass

DEFAULT_MEMORY_MB = 256
LEAST_MEMORY_MB = 16
_LEAST_POINTS = 256  # fewer at once would take forever, whatever the budget


def memory_bytes(memory_mb: int) -> int:
    """Turn a budget into bytes.

    Raises:
        ValueError: If it is too small to work with.
    """
    if memory_mb < LEAST_MEMORY_MB:
        raise ValueError(
            f"memory_mb must be at least {LEAST_MEMORY_MB} (megabytes), got {memory_mb}"
        )
    return memory_mb * 10**6


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What an evaluation holds at its fullest moment, besides what goes in and what comes out.

    Attributes:
        per_shape: Numbers for each shape, however many its points.
        per_point: Numbers for each point of each shape.
    """

    per_shape: int
    per_point: int

    def of(self, num_shapes: int, num_points: int) -> int:
        """Count the numbers for so many points of each shape."""
        return num_shapes * (self.per_shape + num_points * self.per_point)

    def portion(self, num_points: int, *, numbers: int) -> tuple[int, int]:
        """Choose how many shapes, and points of each, to evaluate at once.

        Args:
            num_points: Of each shape.
            numbers: How many may be held.

        Returns:
            Whole shapes where one fits, else one shape and some of its points.
        """
        num_shapes = numbers // max(self.of(1, num_points), 1)
        if num_shapes > 0:
            return num_shapes, num_points
        return 1, max((numbers - self.per_shape) // self.per_point, _LEAST_POINTS)
