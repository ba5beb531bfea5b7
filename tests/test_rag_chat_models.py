"""Who writes answers: the settings decide, and nothing leaves the machine without an administrator's leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from knowledge.errors import InvalidSettings, WriterUnavailable
from rag.chat_models import load_writer
from rag.config import SETTINGS_FILE, Settings, keep_settings, load_settings
from rag.model_address import is_loopback, is_private, model_address
from rag.writers import ExtractiveWriter


def test_without_a_model_the_passages_own_sentences_are_given(tmp_path):
    assert isinstance(load_writer(Settings(tmp_path)), ExtractiveWriter)


def test_a_served_model_elsewhere_needs_leave(tmp_path):
    with pytest.raises(InvalidSettings, match="allow_remote_model"):
        load_writer(Settings(tmp_path, model="openai:some-model"))


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost:1234", True),
        ("https://models.example.org/v1", False),
        ("http://127.0.0.1.example.org", False),
        ("", False),
    ],
)
def test_only_a_loopback_address_is_this_machine(url, here):
    assert is_loopback(url) is here


@pytest.mark.parametrize(
    ("url", "inside"),
    [
        ("http://10.1.2.3:8000/v1", True),
        ("http://192.168.7.7/v1", True),
        ("http://[fd00::1]:8000/v1", True),
        ("http://8.8.8.8/v1", False),
        ("http://172.32.0.1/v1", False),
        ("http://10.0.0.1@8.8.8.8/v1", False),
        ("http://198.51.100.7/v1", False),
        ("", False),
    ],
)
def test_only_a_private_address_may_be_declared_the_hospitals_own(url, inside, tmp_path):
    settings = Settings(tmp_path, model="openai:some-model", model_url=url, model_is_local=True)
    assert is_private(url) is inside
    if inside:
        assert not load_writer(settings).remote
    else:
        with pytest.raises(InvalidSettings, match="model_is_local"):
            load_writer(settings)


def test_a_private_address_that_is_not_declared_is_elsewhere(tmp_path):
    settings = Settings(tmp_path, model="openai:some-model", model_url="http://10.1.2.3/v1")
    with pytest.raises(InvalidSettings, match="allow_remote_model"):
        load_writer(settings)
    assert load_writer(replace(settings, allow_remote_model=True)).remote


def test_the_address_may_come_from_the_environment_and_the_settings_are_before_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8001/v1")
    settings = Settings(tmp_path, model="openai:some-model")
    assert model_address(settings).url == "http://127.0.0.1:8001/v1" and model_address(settings).direct
    assert not load_writer(settings).remote
    assert model_address(replace(settings, model_url="https://models.example.org/v1")).url.startswith("https")
    assert model_address(replace(settings, model="other:some-model")).url == ""


def test_another_providers_client_need_not_keep_to_an_address_so_it_needs_leave_wherever_it_is(tmp_path):
    with pytest.raises(InvalidSettings, match="as openai:NAME"):
        load_writer(Settings(tmp_path, model="other:some-model", model_url="http://127.0.0.1:9/v1"))


@pytest.mark.parametrize("url", ["127.0.0.1:8001", "ftp://127.0.0.1/v1", "http://", "http://[::1"])
def test_an_address_that_is_none_is_one_line(url, tmp_path):
    with pytest.raises(InvalidSettings, match="model_url"):
        load_writer(Settings(tmp_path, model="openai:x", model_url=url))


def test_a_model_served_on_this_machine_needs_no_leave(tmp_path):
    writer = load_writer(Settings(tmp_path, model="openai:some-model", model_url="http://127.0.0.1:9/v1"))
    assert not writer.remote and writer.name == "openai:some-model"


@pytest.mark.parametrize("setting", [{"adapter": "a"}, {"word_for_word": True}])
def test_what_only_a_model_on_this_machine_takes_is_told_of_a_served_one(setting, tmp_path):
    settings = Settings(tmp_path, model="openai:some-model", model_url="http://127.0.0.1:9/v1", **setting)
    with pytest.raises(InvalidSettings, match=f"{next(iter(setting))}: only a model in a folder"):
        load_writer(settings)


@pytest.mark.parametrize("model", ["no-such-folder", "nobody:some-model"])
def test_a_model_that_cannot_be_had_is_one_line(model, tmp_path):
    with pytest.raises(WriterUnavailable) as told:
        load_writer(Settings(tmp_path, model=model, allow_remote_model=True))
    assert "\n" not in str(told.value)


def test_a_folder_without_a_model_is_one_line(tmp_path):
    with pytest.raises(WriterUnavailable, match=r"config\.json"):
        load_writer(Settings(tmp_path, model=str(tmp_path)))


def test_keeping_a_setting_leaves_the_rest_of_the_file_alone(tmp_path):
    path: Path = tmp_path / SETTINGS_FILE
    path.write_text('# ours\nlocale = "en-GB"\n', encoding="utf-8")
    keep_settings(tmp_path, {"model": "openai:x"})
    assert path.read_text(encoding="utf-8").startswith("# ours") and load_settings(tmp_path).model == "openai:x"
    keep_settings(tmp_path, {"model": ""})
    assert load_settings(tmp_path).model == "" and "ours" in path.read_text(encoding="utf-8")
