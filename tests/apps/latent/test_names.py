import pytest
import torch

from get3d.apps.latent import ShapeName, parse_name, split_styles, stack_styles, styles_of


@pytest.mark.parametrize(
    ("text", "seed", "index"), [(7, 7, 0), ("7", 7, 0), ("7.3", 7, 3), ("0.10", 0, 10)]
)
def test_names(text: int | str, seed: int, index: int) -> None:
    name = parse_name(text)
    assert name == ShapeName(seed, index)
    assert parse_name(name) == name
    assert parse_name(str(name)) == name


@pytest.mark.parametrize("text", ["", "-1", "1.", ".5", "a", "1.2.3", "1e3", -4, 7.3, None, True])
def test_invalid_names_raise(text: object) -> None:
    with pytest.raises(ValueError, match="a shape is named SEED or SEED"):
        parse_name(text)


def test_a_name_means_the_shape_that_generate_makes(model) -> None:
    styles = styles_of(model, "5.2", truncation=0.6)
    expected = model.styles(2, seed=5, truncation=0.6)
    assert torch.equal(styles.geo, expected.geo)
    assert torch.equal(styles.tex, expected.tex)


def test_texture_of_another_shape(model) -> None:
    styles = styles_of(model, "5.2", texture="3.1")
    assert torch.equal(styles.geo, model.styles(2, seed=5).geo)
    assert torch.equal(styles.tex, model.styles(1, seed=3).tex)


def test_split_styles_inverts_stack_styles(model) -> None:
    single = [styles_of(model, seed) for seed in range(3)]
    batch = stack_styles(single)
    assert len(batch.geo) == len(batch.tex) == 3
    for one, again in zip(single, split_styles(batch), strict=True):
        assert torch.equal(one.geo, again.geo)
        assert torch.equal(one.tex, again.tex)
