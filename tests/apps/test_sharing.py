import pytest
import yaml

from get3d.apps import Model, plan_upload, save_model, send, sharing


@pytest.fixture
def folder(model, tmp_path):
    save_model(model, tmp_path / "run" / "model")
    (tmp_path / "run" / "model" / "notes.txt").write_text("mine")
    return tmp_path / "run" / "model"


def test_plan(folder):
    plan = plan_upload(folder, "maker/chairs@v2/small", is_private=True)
    assert str(plan.target) == "hf://maker/chairs@v2/small"
    assert plan.num_bytes == {
        name: (folder / name).stat().st_size
        for name in ("README.md", "config.yaml", "model.safetensors")
    }
    assert (plan.licence, plan.is_private, plan.message) == ("MIT", True, "tiny, a get3d model")
    assert plan_upload(folder, "hf://maker/chairs", message="Second").message == "Second"


def test_run_folder_means_its_model(folder):
    assert plan_upload(folder.parent, "maker/chairs").folder == folder


def test_what_was_planned_is_sent(folder, monkeypatch):
    calls = []

    def send_folder(*args, **options):
        calls.append((args, options))
        return "https://hub/commit/1"

    monkeypatch.setattr(sharing, "send_folder", send_folder)
    plan = plan_upload(folder, "maker/chairs", is_private=True, message="First")
    assert not calls
    assert send(plan) == "https://hub/commit/1"
    [(args, options)] = calls
    assert args == (plan.target, folder, ["README.md", "config.yaml", "model.safetensors"])
    assert options == {"message": "First", "is_private": True}


def test_bad_targets(folder):
    with pytest.raises(ValueError, match="must be hf://owner/name"):
        plan_upload(folder, "chairs")


def test_checkpoints_are_imported_first(folder):
    with pytest.raises(ValueError, match=r"car\.pt is a checkpoint; get3d import makes"):
        plan_upload(folder / "car.pt", "maker/chairs")


def test_unknown_licence_is_sent_only_if_allowed(model, tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(sharing, "send_folder", lambda *args, **_: sent.append(args) or "")
    save_model(Model(model.generator), tmp_path)
    plan = plan_upload(tmp_path, "maker/chairs")
    with pytest.raises(ValueError, match=r"has no licence, so nobody may use it; write one into"):
        send(plan)
    assert not sent
    send(plan, allow_unknown_licence=True)
    assert sent


def test_damaged_models_are_not_sent(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is damaged"):
        plan_upload(folder, "maker/chairs")


def test_no_card(folder):
    (folder / "README.md").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no README\.md; the hub needs a card"):
        plan_upload(folder, "maker/chairs")


@pytest.mark.parametrize("card", [b"# Chairs\n", b"\xff\xfe"])
def test_card_without_front_matter(folder, card):
    (folder / "README.md").write_bytes(card)
    with pytest.raises(ValueError, match=r"README\.md: .*; save the model again"):
        plan_upload(folder, "maker/chairs")


@pytest.mark.parametrize("licence", ["cc0-1.0", None])
def test_card_of_another_licence(folder, licence):
    head = yaml.safe_dump({"license": licence})
    (folder / "README.md").write_text(f"---\n{head}---\n# Chairs\n")
    with pytest.raises(ValueError, match=r"has license: .*, config\.yaml means license: mit"):
        plan_upload(folder, "maker/chairs")


def test_cards_of_ones_own_stay(folder):
    card = "---\nlicense: MIT\ntags: [mine]\n---\n# Chairs\nMine.\n"
    (folder / "README.md").write_text(card)
    plan_upload(folder, "maker/chairs")
    assert (folder / "README.md").read_text() == card
