"""The card of a model, `README.md`: for people, with a head that model hubs read."""

import re
from typing import Any

import yaml

from get3d.apps.model import Model

# What the Hugging Face Hub accepts as `license`; anything else is "other", with a name of its own.
_HUB_LICENCES = {
    "apache-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "gpl-3.0",
    "mit",
    "openrail",
    "unknown",
    "unlicense",
}
_UNLIT = "The textures are base colours and hold no light: light the shapes where you show them."
_HEAD = re.compile(r"---\r?\n(.*?)\n---\r?\n", re.DOTALL)


def write_card(model: Model) -> str:
    """Describe a model in Markdown, with front matter."""
    config, info = model.generator.config, model.info
    num_weights = sum(weight.numel() for weight in model.generator.parameters())
    head = {
        "library_name": "get3d",
        **licence_entries(info.licence),
        "tags": ["get3d", "3d", "mesh"],
    }
    times = config.subdivisions
    subdivided = f", subdivided {times} times near the surface" if times else ""
    origin = f"- origin: {info.origin}\n" if info.origin else ""
    unlit = f"- {_UNLIT}\n" if info.is_unlit else ""
    return f"""---
{yaml.safe_dump(head, sort_keys=False)}---

# {info.name}

{info.description or "A GET3D model: textured 3D meshes from random numbers."}

- {config.architecture} generator, {num_weights / 1e6:.1f} million weights, tri-planes of
  {config.plane_resolution} texels, {config.iso_surface} on a grid of resolution \
{config.grid_resolution}{subdivided}
- licence of the weights: {info.licence}
{origin}{unlit}
```sh
get3d generate path/to/this/folder --num 16 --out shapes
```

```python
import get3d

model = get3d.load("path/to/this/folder")
get3d.save(model.generate(seed=0)[0], "shape.glb")
```
"""


def licence_entries(licence: str) -> dict[str, str]:
    """Name a licence as model hubs do.

    Example:
        >>> licence_entries("CC0-1.0")
        {'license': 'cc0-1.0'}
        >>> licence_entries("House rules, 2nd edition")
        {'license': 'other', 'license_name': 'house-rules-2nd-edition'}
    """
    if licence.lower() in _HUB_LICENCES:
        return {"license": licence.lower()}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")
    return {"license": "other", "license_name": name or "unnamed"}


def read_head(card: str) -> dict[str, Any]:
    """Read a card's front matter.

    Raises:
        ValueError: If it has none.
    """
    match = _HEAD.match(card)
    try:
        head = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError:
        head = None
    if not isinstance(head, dict):
        raise ValueError(
            "it has no front matter: YAML between two lines of ---, above everything else"
        )
    return head
