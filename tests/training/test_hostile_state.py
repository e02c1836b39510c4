"""Checkpoints that are damaged or made by hand: refused by name, before anything is loaded."""

import random
import zipfile
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch

from get3d.core import Get3DError, ModelError
from get3d.training import Run, Trainer
from get3d.training.checkpoints import load_checkpoint
from tests.training.conftest import disc_images, start_run, tiny_config

NAME = "images-000000004.pt"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint after one step."""
    run = start_run(tiny_config(), disc_images(), tmp_path_factory.mktemp("run"))
    run.stepper.step()
    run._save()
    return (run.folder / "checkpoints" / NAME).read_bytes()


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    """A trainer that the states are loaded into."""
    return Trainer(tiny_config(), disc_images())


@pytest.fixture
def resume(tmp_path, saved, trainer):
    """Write a checkpoint, and resume from it."""
    path = tmp_path / "checkpoints" / NAME
    path.parent.mkdir()
    path.write_bytes(saved)

    def resume(content: Any = None) -> Run[Trainer]:
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            torch.save(content, path)
        config = tiny_config()
        return Run(trainer, tmp_path, config=config, schedule=config.schedule)

    resume.content = load_checkpoint(path)
    return resume


def test_the_checkpoint_itself_is_taken(resume):
    run = resume()
    assert run.stepper.seen_images == 4
    state = run.stepper.generator_optimizer.state_dict()["state"]
    expected = resume.content["state"]["generator_optimizer"]["state"]
    assert state.keys() == expected.keys() != set()
    for index, entry in expected.items():
        assert all(torch.equal(state[index][name], value) for name, value in entry.items())


def moments(change: Callable[[Any], Any], *names: str) -> Callable[[Any], None]:
    """A change of the moments in a state's optimisers."""

    def apply(state: Any) -> None:
        for part in ("generator_optimizer", "discriminator_optimizer"):
            for entry in state[part]["state"].values():
                for name in names:
                    entry[name] = change(entry[name])

    return apply


def weights(change: Callable[[torch.Tensor], Any], part: str) -> Callable[[Any], None]:
    """A change of the first tensor of a network."""

    def apply(state: Any) -> None:
        name = next(iter(state[part]))
        state[part][name] = change(state[part][name])

    return apply


def put(name: str, value: Any) -> Callable[[Any], None]:
    return lambda state: state.update({name: value})


BOTH = ("exp_avg", "exp_avg_sq")
CHANGES = {
    "moments of one element": moments(lambda tensor: tensor.flatten()[:1], *BOTH),
    "moments that claim more than they hold": moments(
        lambda tensor: torch.zeros(1).expand(99), *BOTH
    ),
    "moments that are lists": moments(torch.Tensor.tolist, *BOTH),
    "moments of another type": moments(torch.Tensor.double, *BOTH),
    "moments that are not finite": moments(lambda tensor: tensor / 0, *BOTH),
    "negative squares": moments(lambda tensor: -1 - tensor, "exp_avg_sq"),
    "no steps": moments(torch.zeros_like, "step"),
    "steps that are numbers": moments(int, "step"),
    "a matrix of steps": moments(lambda tensor: tensor.expand(2, 2), "step"),
    "empty Adam state": lambda state: state["generator_optimizer"].update(state={}),
    "Adam state of one parameter more": lambda state: state["generator_optimizer"]["state"].update(
        {10**6: {}}
    ),
    "Adam state by name": lambda state: state["generator_optimizer"]["state"].update({"a": {}}),
    "Adam state without moments": lambda state: state["generator_optimizer"]["state"].update(
        {0: {}}
    ),
    "no groups": lambda state: state["generator_optimizer"].update(param_groups=[]),
    "groups that are numbers": lambda state: state["generator_optimizer"].update(param_groups=[1]),
    "a group of other parameters": lambda state: state["generator_optimizer"]["param_groups"][
        0
    ].update(params=[0, 0]),
    "NaN in the average": weights(lambda tensor: tensor / 0 * 0, "average"),
    "complex weights": weights(lambda tensor: tensor + 0j, "generator"),
    "weights of another type": weights(torch.Tensor.double, "discriminator"),
    "weights of another shape": weights(lambda tensor: tensor[..., None], "average"),
    "a missing tensor": lambda state: state["average"].popitem(),
    "a tensor too many": lambda state: state["average"].update(more=torch.zeros(1)),
    "a name that is a number": lambda state: state["average"].update({3: torch.zeros(1)}),
    **{
        f"{part} is {value!r}": put(part, value)
        for part in ("generator", "average", "discriminator_optimizer")
        for value in (None, "text", [1])
    },
    **{f"step {value}": put("step_index", value) for value in (-5, -1, 10**30, 1.0, True, "1", 2)},
    "no fingerprint": put("images", None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_states_made_by_hand(resume, name):
    content = deepcopy(resume.content)
    CHANGES[name](content["state"])
    with pytest.raises(ModelError, match=rf"{NAME} is damaged: .* no other checkpoint of"):
        resume(content)


@pytest.mark.parametrize(
    "change",
    [
        {"state": None},
        {"state": [1]},
        {"state": {}},
        {"config": None},
        {"config": {"schedule": {"seed": 2**70}}},
        {"config": {"generator": {"mapping_layers": torch.ones(2)}}},
        {"config": {"generator": {"architecture": torch.ones(2)}}},
        {"format_version": torch.ones(2)},
        {"format_version": "x" * 10**6},
    ],
)
def test_contents_made_by_hand(resume, change):
    with pytest.raises(ModelError, match=NAME) as caught:
        resume(resume.content | change)
    assert len(str(caught.value)) < 600


def test_a_part_left_out(resume):
    for name in ("state", "config"):
        content = dict(resume.content)
        del content[name]
        with pytest.raises(ModelError, match="is no training checkpoint of get3d"):
            resume(content)
    for name in resume.content["state"]:
        state = dict(resume.content["state"])
        del state[name]
        with pytest.raises(ModelError, match=rf"{NAME} is damaged: "):
            resume(resume.content | {"state": state})


def test_a_compressed_pickle_is_not_unpacked(resume, tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02" + b"]q\x01" * (1 << 22))
    with pytest.raises(ModelError, match=rf"{NAME} was compressed"):
        resume(path.read_bytes())


@pytest.mark.slow
def test_two_hundred_mutated_checkpoints(resume, saved):
    """Each is taken as it was saved, or refused in one line that names it."""
    rng = random.Random(0)
    expected = resume().stepper.average.state_dict()
    expected = {name: tensor.clone() for name, tensor in expected.items()}
    messages = []
    for _ in range(200):
        content = bytearray(saved)
        start = rng.randrange(len(content))
        match rng.randrange(4):
            case 0:
                content[start] ^= 1 << rng.randrange(8)
            case 1:
                content[start : start + 16] = rng.randbytes(16)
            case 2:
                del content[start : start + rng.randrange(1, 100)]
            case 3:  # mostly names and numbers
                start = content.index(b"data.pkl") + rng.randrange(20000)
                content[start] = rng.randrange(256)
        try:
            run = resume(bytes(content))
        except Get3DError as error:
            messages.append(str(error))
        else:  # bytes between the entries of the archive
            state = run.stepper.average.state_dict()
            assert all(torch.equal(state[name], tensor) for name, tensor in expected.items())
    assert len(messages) > 150
    assert all(NAME in message and "\n" not in message for message in messages)
