from __future__ import annotations

from pathlib import Path

import pytest

from tests.fooling.changed import ChangedLab


@pytest.fixture
def lab(clean_environment: dict[str, str], tmp_path: Path) -> ChangedLab:
    return ChangedLab(clean_environment, tmp_path)
