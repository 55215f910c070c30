"""What is served as it is: vendored files, catalogues, templates."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from portal.language import catalogue
from portal.render import environment

PORTAL = Path(__file__).parents[2] / "portal"
VENDOR = PORTAL / "static" / "vendor"
TEMPLATES = sorted((PORTAL / "templates").glob("*.html"))


def test_vendored_files_are_what_vendor_json_says():
    listed = json.loads((VENDOR / "vendor.json").read_text("utf-8"))
    named = {"vendor.json"}
    for one in listed:
        content = (VENDOR / one["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"], one["file"]
        assert one["version"]
        assert one["licence"] in ("Apache-2.0", "OFL-1.1")
        for licence in one["licence_files"]:
            assert (VENDOR / licence).stat().st_size > 100
        named |= {one["file"], *one["licence_files"]}
    assert {path.name for path in VENDOR.iterdir()} == named


def test_both_languages_have_the_same_texts_and_fields():
    swedish, english = catalogue("sv"), catalogue("en")
    assert swedish.keys() == english.keys()
    for key, text in swedish.items():
        assert sorted(re.findall(r"{(\w+)}", text)) == sorted(re.findall(r"{(\w+)}", english[key]))
        assert text.strip()


def test_every_text_is_used_and_every_used_text_exists():
    sources = [*TEMPLATES, *PORTAL.rglob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    literal = set(re.findall(r"""\bt\(\s*["'](\w+)["']\s*[,)]""", text))
    assert literal <= catalogue("sv").keys()
    built = set(re.findall(r"""\bt\(\s*f?["'](\w+_)(?:["']\s*~|\{)""", text))
    unused = {
        key
        for key in catalogue("sv")
        if key not in literal
        and not any(key.startswith(prefix) for prefix in built)
        and f'"{key}"' not in text
    }
    assert unused == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_keep_the_content_policy(path):
    text = path.read_text("utf-8")
    environment().parse(text)
    assert not re.search(r"\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|<style|javascript:", text)
    assert not re.search(r"""(?:src|href)=["']https?:""", text)
