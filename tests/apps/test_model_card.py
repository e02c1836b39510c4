import dataclasses

import pytest

from get3d.apps.model import ModelInfo
from get3d.apps.model_card import licence_entries, read_front_matter, write_card
from get3d.models import Generator


def test_front_matter_is_read_back(model):
    head = read_front_matter(write_card(model))
    assert head == {"library_name": "get3d", "license": "mit", "tags": ["get3d", "3d", "mesh"]}


def test_card_has_the_origin(model):
    assert "origin" not in write_card(model)
    info = ModelInfo(name="x", origin="`x.pt`")
    assert "- origin: `x.pt`\n" in write_card(dataclasses.replace(model, info=info))


def test_card_of_unlit_models_mentions_base_colours(model):
    assert "no light" not in write_card(model)
    card = write_card(dataclasses.replace(model, info=ModelInfo(is_unlit=True)))
    assert "- The textures are base colours and hold no light: light the shapes where" in card


def test_card_has_the_subdivisions(model):
    assert "subdivided" not in write_card(model)
    config = dataclasses.replace(model.generator.config, subdivisions=2)
    finer = dataclasses.replace(model, generator=Generator(config))
    assert "resolution 12, subdivided 2 times near the surface\n" in write_card(finer)


@pytest.mark.parametrize("licence", ["GET3D: a licence # with signs", "Ünfug", "yes", "---"])
def test_any_licence_gives_valid_front_matter(model, licence):
    info = ModelInfo(licence=licence)
    head = read_front_matter(write_card(dataclasses.replace(model, info=info)))
    assert head["license"] == "other"
    assert head["license_name"] == licence_entries(licence)["license_name"] != ""


@pytest.mark.parametrize(
    ("licence", "name"), [("MIT", "mit"), ("CC0-1.0", "cc0-1.0"), ("unknown", "unknown")]
)
def test_licences_that_the_hub_knows(licence, name):
    assert licence_entries(licence) == {"license": name}


@pytest.mark.parametrize("card", ["", "# Title\n", "---\nlicense: [\n---\n", "---\ntext\n---\n"])
def test_cards_without_front_matter(card):
    with pytest.raises(ValueError, match="it has no front matter"):
        read_front_matter(card)


def test_front_matter_with_the_line_ends_of_windows():
    assert read_front_matter("---\r\nlicense: mit\r\n---\r\n# x\r\n") == {"license": "mit"}
