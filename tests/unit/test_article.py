from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_djangos_own_command_line_tests_the_views_of_the_articles(root: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "services.manage", "test"]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert not ended.returncode, ended.stderr
    assert "Ran 2 tests" in ended.stderr


def test_the_views_of_the_articles_are_about_as_short_as_they_were(root: Path) -> None:
    lines = (root / "services" / "aggregator" / "article.py").read_text().splitlines()
    assert len(lines) <= 110
