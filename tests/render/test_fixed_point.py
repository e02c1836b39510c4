import torch

from get3d.render.fixed_point import NO_EDGE, SUBPIXELS, classify, cut_faces, to_fixed_point


def test_conversion_keeps_quarter_pixels() -> None:
    clip = torch.tensor([[-1.0, -1, 0, 1], [1, 1, 0.5, 1], [0.0, -0.5, -2, 2]])
    x, y, z = to_fixed_point(clip, (8, 16))
    assert x.tolist() == [0, 16 * SUBPIXELS, 8 * SUBPIXELS]
    assert y.tolist() == [0, 8 * SUBPIXELS, 3 * SUBPIXELS]
    assert z.tolist() == [0, 0.5, -1]


def test_classes_of_faces() -> None:
    easy = [[0.0, 0, 0, 1], [3, 0, 0, 1], [0, 1, 0, 1]]
    hard = [[0.0, 0, -2, 1], [1, 0, 0, 1], [0, 1, 0, 1]]
    beyond = [[2.0, 0, 0, 1], [3, 0, 0, 1], [2, 9, 0, 1]]
    invalid = [[torch.nan, 0, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1]]
    is_easy, is_hard = classify(torch.tensor([easy, hard, beyond, invalid]).double(), (8, 8))
    assert is_easy.tolist() == [True, False, False, False]
    assert is_hard.tolist() == [False, True, False, False]


def test_clipping_keeps_area_inside_and_labels_new_edges() -> None:
    # One corner in front of the near plane z = -w: a quad is left, of two triangles.
    clip = torch.tensor([[[0.0, -0.5, -2, 1], [0.5, 0.5, 0, 1], [-0.5, 0.5, 0, 1]]]).double()
    cut = cut_faces(clip, torch.tensor([0]), torch.tensor([7]), (64, 64))
    assert cut.face.tolist() == [7, 7]
    assert cut.z.min() == -1
    x, y = cut.x.double() / SUBPIXELS, cut.y.double() / SUBPIXELS
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    # The cut is halfway up: 3/4 of the triangle's 32 x 32 pixels / 2 are left.
    assert abs(area.abs().sum() / 2 - 0.75 * 32 * 32 / 2) < 1e-2
    labels = cut.opposite.flatten().tolist()
    assert sorted(label for label in labels if label != NO_EDGE) == [0, 1, 2]
    assert labels.count(NO_EDGE) == 3  # the cut, and the diagonal in both triangles


def test_clipping_nothing() -> None:
    cut = cut_faces(torch.zeros(0, 3, 4), torch.zeros(0).long(), torch.zeros(0).long(), (4, 4))
    assert cut.x.shape == (0, 3)
