import pytest
import torch

from get3d.metrics.image_sets import composite


def test_composite() -> None:
    rgba = torch.zeros(1, 4, 1, 3, dtype=torch.uint8)
    rgba[0, :, 0, 0] = torch.tensor([200, 100, 0, 255])
    rgba[0, :, 0, 1] = torch.tensor([200, 100, 0, 128])
    rgba[0, :, 0, 2] = torch.tensor([200, 100, 0, 0])  # hidden colour
    assert composite(rgba)[0, :, 0].T.tolist() == [[200, 100, 0], [100, 50, 0], [0, 0, 0]]
    assert composite(rgba, (255, 255, 255))[0, :, 0, 2].tolist() == [255, 255, 255]
    with pytest.raises(ValueError, match=r"1 of 1 images have no transparent pixel"):
        composite(rgba[..., :1])
