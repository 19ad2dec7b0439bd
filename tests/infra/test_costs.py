"""The page shows what the templates cost."""

import re

from costs import tables
from stacks import ROOT


def test_the_page_has_the_tables_as_they_are_computed():
    page = (ROOT / "docs/deploy.md").read_text()
    assert "\n".join(tables()) in page, "python tests/infra/costs.py prints them"


def test_the_page_names_every_command_and_no_other():
    tool = (ROOT / "cloudformation/deploy").read_text()
    known = set(re.search(r"    (publish \|.*?)\) \(\(", tool)[1].split(" | ")) | {"up", "rollback"}
    page = (ROOT / "docs/deploy.md").read_text()
    named = set(re.findall(r"`(?:cloudformation/)?deploy (?:--\S+ )*([a-z]+)", page))
    assert named <= known and {"up", "rollback", "park", "resume", "down", "status"} <= named
