import torch

from get3d.models import GeneratorConfig
from get3d.models.synthesis import TriplaneSynthesis


def planes(config, *, strength):
    torch.manual_seed(0)
    network = TriplaneSynthesis(config, config.w_dim, outputs=1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "noise_strength" in name:
                parameter.fill_(strength)
        return network(torch.ones(1, network.num_styles, config.w_dim))[0]


def small(*, plane_noise):
    return GeneratorConfig(
        w_dim=8, plane_resolution=8, channel_base=64, channel_max=8, plane_noise=plane_noise
    )


def test_the_strength_of_the_noise_matters():
    still = planes(small(plane_noise=True), strength=0.0)
    assert not torch.allclose(still, planes(small(plane_noise=True), strength=0.5))


def test_without_plane_noise_there_is_nothing_to_learn_its_strength():
    network = TriplaneSynthesis(small(plane_noise=False), 8, outputs=2)
    assert not [name for name in network.state_dict() if "noise" in name]


def test_planes_of_both_outputs_have_the_configured_side():
    network = TriplaneSynthesis(small(plane_noise=False), 8, outputs=2)
    styles = torch.randn(3, network.num_styles, 8)
    planes = network(styles, torch.randn(3, len(network.blocks), 8))
    assert [tuple(image.shape) for image in planes] == [(3, 96, 8, 8)] * 2
