"""The reference of the objects: it is what the models say, and leaves out no reason."""

import re

import generate_object_reference as reference
import pytest

from sluice_api.objects.registry import KINDS
from sluice_api.statuses.base import LOOP_CONDITIONS, READY_REASONS
from sluice_api.statuses.registry import STATUSES

PAGES = reference.pages()


def test_pages_are_what_the_models_say() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}

    assert there == PAGES


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_tells_every_condition_and_what_each_reason_means(kind: str) -> None:
    page = PAGES[f"{kind.lower()}.md"]
    for condition in STATUSES[kind][1]:
        assert f"### `{condition.name}`" in page
        for reason, meaning in condition.reasons.items():
            if READY_REASONS.get(reason) != meaning:
                row = f"| `{reason}` | {meaning.replace('|', chr(92) + '|')} |"
                assert row in page, (condition.name, reason)


def test_what_the_loop_says_is_told_once_for_all() -> None:
    for reasons in (READY_REASONS, *(condition.reasons for condition in LOOP_CONDITIONS)):
        for reason, meaning in reasons.items():
            assert f"| `{reason}` | {meaning} |" in PAGES["objects.md"], reason


def test_links_lead_somewhere() -> None:
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)", re.sub(r"`[^`]*`", "", page)):
            assert (reference.FOLDER / target).is_file(), (name, target)
