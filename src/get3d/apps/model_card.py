"""Model cards, `README.md`: Markdown with front matter for model hubs."""

import re
from typing import Any

import yaml

from get3d.apps.model import Model
from get3d.core import ModelError

# Values of `license` that the Hugging Face Hub accepts; anything else is "other" with a name.
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
_FRONT_MATTER = re.compile(r"---\r?\n(.*?)\n---\r?\n", re.DOTALL)


def write_card(model: Model) -> str:
    """Write the card of a model."""
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
    """Return the front matter entries of a licence.

    Example:
        >>> licence_entries("CC0-1.0")
        {'license': 'cc0-1.0'}
        >>> licence_entries("Studio licence, 2nd edition")
        {'license': 'other', 'license_name': 'studio-licence-2nd-edition'}
    """
    if licence.lower() in _HUB_LICENCES:
        return {"license": licence.lower()}
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")
    return {"license": "other", "license_name": name or "unnamed"}


def read_front_matter(card: str) -> dict[str, Any]:
    """Parse the front matter of a card; raise ModelError if it has none."""
    match = _FRONT_MATTER.match(card)
    try:
        head = yaml.safe_load(match[1]) if match else None
    except (yaml.YAMLError, ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise ModelError(
            "it has no front matter: YAML between two lines of ---, above everything else"
        )
    return head
