import pytest
import torch

from get3d.training import RunConfig, Trainer, TrainingImages, captured


def test_other_devices_run_the_function_as_written() -> None:
    def double(x: torch.Tensor) -> list[torch.Tensor]:
        return [2 * x]

    assert captured.captured(double, torch.device("cpu")) is double


def test_inputs_do_not_keep_the_graph_of_what_was_handed_over() -> None:
    class Graph:
        def replay(self) -> None:
            """Do nothing."""

    replayed = captured.Captured(lambda x: [x])
    replayed._graph, replayed._inputs, replayed._outputs = Graph(), (torch.zeros(3),), []
    weight = torch.ones(3, requires_grad=True)
    replayed(2 * weight)
    (held,) = replayed._inputs
    assert torch.equal(held, torch.full((3,), 2.0))
    assert not held.requires_grad


@pytest.mark.gpu
def test_a_replay_computes_with_the_values_of_now() -> None:
    weight = torch.ones(3, device="cuda", requires_grad=True)

    def work(x: torch.Tensor) -> list[torch.Tensor]:
        loss = (weight * x).square().sum()
        return [loss.detach(), *torch.autograd.grad(loss, [weight])]

    replayed = captured.Captured(work)
    for scale in (1.0, 2.0, -3.0):
        with torch.no_grad():
            weight.fill_(scale)
        x = torch.arange(3.0, device="cuda") * scale
        for got, expected in zip(replayed(x), work(x), strict=True):
            torch.testing.assert_close(got, expected)


@pytest.mark.gpu
def test_recorded_steps_train_as_written_ones(
    config: RunConfig, images: TrainingImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = Trainer(config, images, device="cuda")
    monkeypatch.setattr("get3d.training.trainer.captured", lambda function, device: function)
    monkeypatch.setattr("get3d.training.trainer.capture_networks", lambda *args, **kwargs: None)
    written = Trainer(config, images, device="cuda")
    for _ in range(3):
        first, second = recorded.step(), written.step()
        assert first.keys() == second.keys()
        for name, value in first.items():
            torch.testing.assert_close(value, second[name], rtol=5e-2, atol=5e-3, msg=name)
