"""Checks that docs/deploy.md has the costs of the templates and the commands of the tool."""

import re

from costs import tables
from stacks import ROOT


def test_page_contains_the_computed_tables():
    page = (ROOT / "docs/deploy.md").read_text()
    assert "\n".join(tables()) in page, "python tests/infra/costs.py prints them"


def test_page_names_only_existing_commands():
    tool = (ROOT / "cloudformation/deploy").read_text()
    known = set(re.search(r"    (publish \|.*?)\) \(\(", tool)[1].split(" | ")) | {"up", "rollback", "rotate"}
    page = (ROOT / "docs/deploy.md").read_text()
    named = set(re.findall(r"`(?:cloudformation/)?deploy (?:--\S+ )*([a-z]+)", page))
    assert named <= known and {"up", "rollback", "park", "resume", "down", "status"} <= named
