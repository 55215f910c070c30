"""Docs name every setting, command, metric and alarm kind, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from config.load import load
from engine.types import AlarmKind
from fjarrvakt.reference import PAGES

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_what_the_code_says(name):
    assert (ROOT / "docs" / name).read_text("utf-8") == PAGES[name](), "run `make docs`"


def test_every_alarm_kind_is_explained():
    text = (ROOT / "docs/alarms.md").read_text("utf-8")
    assert [kind for kind in AlarmKind if kind not in text] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_the_example_settings_are_valid():
    load(ROOT / "config/example.toml", {})
