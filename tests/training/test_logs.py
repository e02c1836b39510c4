import csv

from PIL import Image

from get3d.training.logs import RunLog


def read(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_and_late_columns(tmp_path):
    with RunLog(tmp_path) as log:
        log.write(8, {"loss": 1.5})
        log.write(16, {"loss": 1.25, "r1": 0.5})
    rows = read(tmp_path)
    assert rows[0] == {"images": "8", "loss": "1.5", "r1": ""}
    assert rows[1] == {"images": "16", "loss": "1.25", "r1": "0.5"}
    assert list((tmp_path / "tensorboard").iterdir())


def test_resuming_drops_later_rows_and_half_written_ones(tmp_path):
    with RunLog(tmp_path) as log:
        for seen in (8, 16, 24):
            log.write(seen, {"loss": 1.0, "r1": 2.0})
    with (tmp_path / "log.csv").open("a") as file:
        file.write("32,1")
    with RunLog(tmp_path, resume_images=16) as log:
        log.write(24, {"loss": 3.0, "r1": 4.0})
    assert [(row["images"], row["loss"]) for row in read(tmp_path)] == [
        ("8", "1.0"),
        ("16", "1.0"),
        ("24", "3.0"),
    ]


def test_tensorboard_gets_the_sample_images(tmp_path, monkeypatch):
    with RunLog(tmp_path) as log:
        log.write_image(8, Image.new("RGB", (5, 4), (255, 0, 0)))
    [path] = (tmp_path / "tensorboard").iterdir()
    content = path.read_bytes()
    assert b"samples" in content
    assert b"\x89PNG" in content
    monkeypatch.setattr("get3d.training.logs._tensorboard_writer", lambda *args: None)
    with RunLog(tmp_path) as log:
        log.write_image(8, Image.new("RGB", (5, 4)))
