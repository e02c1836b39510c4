import pytest
import torch

from get3d.core import Styles
from get3d.models import mix_styles
from get3d.models.mapping import Mapping, repeat_style


def test_the_length_of_z_does_not_matter() -> None:
    mapping = Mapping(4, 6, num_layers=2)
    z = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(mapping(z), mapping(z * 5))


def test_truncation_pulls_to_the_average() -> None:
    w = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    average = torch.ones(6)
    assert torch.equal(repeat_style(w, average, 3)[:, 1], w)
    towards = repeat_style(w, average, 3, truncation=0.0)
    torch.testing.assert_close(towards, average.expand(2, 3, 6))
    some = repeat_style(w, average, 3, truncation=0.5, truncation_cutoff=2)
    torch.testing.assert_close(some[:, :2], ((w + average) / 2)[:, None].expand(-1, 2, -1))
    assert torch.equal(some[:, 2], w)


def test_average_moves_only_by_update_average() -> None:
    mapping = Mapping(4, 6, num_layers=2)
    w = mapping(torch.ones(3, 4))
    assert torch.equal(mapping.w_avg, torch.zeros(6))
    mapping.update_average(w, beta=0.75)
    torch.testing.assert_close(mapping.w_avg, w.detach().mean(0) / 4)


class TestMixing:
    first = Styles(torch.zeros(2, 13, 4), torch.zeros(2, 6, 4))
    second = Styles(torch.ones(2, 13, 4), torch.ones(2, 6, 4))

    def mixed(self, probability: float, seed: int) -> Styles:
        rng = torch.Generator().manual_seed(seed)
        return mix_styles(self.first, self.second, probability=probability, generator=rng)

    def test_never_and_always(self) -> None:
        assert self.mixed(0.0, 0).geo.sum() == 0
        crossovers = set()
        for seed in range(40):
            styles = self.mixed(1.0, seed)
            for kind in (styles.geo, styles.tex):
                rows = kind[:, :, 0]
                assert (rows[:, 1:] >= rows[:, :-1]).all()  # ones follow zeros
                assert (rows[:, 0] == 0).all()
                assert (rows[:, -1] == 1).all()
            crossovers.add((int(styles.geo[0, :, 0].sum()), int(styles.tex[0, :, 0].sum())))
        assert len({geo for geo, _ in crossovers}) > 5
        assert len({tex for _, tex in crossovers}) == 5

    def test_frequency_is_the_probability(self) -> None:
        mixed = sum(bool(self.mixed(0.9, seed).geo.any()) for seed in range(300))
        assert 250 < mixed < 290

    def test_a_probability_above_one_raises(self) -> None:
        with pytest.raises(ValueError, match="probability"):
            self.mixed(1.5, 0)
