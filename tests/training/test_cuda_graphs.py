from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from get3d.training import Trainer
from get3d.training.cuda_graphs import (
    accumulate_gradients,
    iter_tensors,
    map_tensors,
    recorded,
)


@dataclass(frozen=True)
class Pair:
    first: Tensor
    rest: tuple[Tensor | None, ...] = ()


def test_on_a_cpu_the_function_itself_is_called():
    def function(x):
        return x + 1

    assert recorded(function, torch.device("cpu")) is function


def test_tensors_in_nested_dataclasses():
    a, b, c = (torch.full((2,), float(i)) for i in range(3))
    value = (Pair(a, (b, None)), c)
    assert [float(each[0]) for each in iter_tensors(value)] == [0, 1, 2]
    pair, last = map_tensors(lambda x: x + 10, value)
    assert isinstance(pair, Pair)
    assert float(pair.first[0]) == 10
    assert float(pair.rest[0][0]) == 11
    assert pair.rest[1] is None
    assert float(last[0]) == 12


def test_gradients_add_up_and_unused_parameters_have_none():
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    for _ in range(2):
        accumulate_gradients((3 * used).sum(), [used, unused])
    assert used.grad.tolist() == [6, 6]
    assert unused.grad is None


@pytest.mark.gpu
def test_a_replay_computes_anew_and_gives_copies() -> None:
    weight = torch.nn.Parameter(torch.ones(3, device="cuda"))

    def work(pair: Pair) -> Pair:
        loss = (weight * pair.first).square().sum()
        accumulate_gradients(loss, [weight])
        return Pair(loss.detach())

    replayed = recorded(work, torch.device("cuda"), parameters=[weight])
    results, expected, gradients = [], [], []
    for scale in (1.0, 2.0, -3.0):
        with torch.no_grad():
            weight.fill_(scale)
        pair = Pair(torch.arange(3.0, device="cuda") * scale)
        found = []
        for function in (replayed, work):
            weight.grad = torch.ones(3, device="cuda")
            found.append(function(pair).first)
            gradients.append(weight.grad)
        results.append(found[0])
        expected.append(found[1])
    torch.testing.assert_close(results, expected)
    torch.testing.assert_close(gradients[::2], gradients[1::2])


@pytest.mark.gpu
def test_recorded_steps_train_as_written_ones(config, images, monkeypatch) -> None:
    with_graphs = Trainer(config, images, device="cuda")
    monkeypatch.setattr("get3d.training.trainer.recorded", lambda function, *_, **__: function)
    monkeypatch.setattr("get3d.training.trainer.record_networks", lambda *_, **__: None)
    written = Trainer(config, images, device="cuda")
    for _ in range(3):
        first, second = with_graphs.step(), written.step()
        assert first.keys() == second.keys()
        for name, value in first.items():
            torch.testing.assert_close(value, second[name], rtol=5e-2, atol=5e-3, msg=name)
