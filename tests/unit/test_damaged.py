"""Whatever a summary.json holds, it is read, refused by name or passed over: a run with random damage."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from loadtests.errors import BadInput
from loadtests.report import compare
from loadtests.results import folders, history

ODD: tuple[Any, ...] = (None, True, 0, -1, 1e308, float("inf"), float("nan"), 10**400, "", "x", "\x1b[2J", "\ud800")
ODD += ([], [[]], {}, {"a": 1}, [None])
TRIALS = 40  # in each of the tests below; thousands were tried once


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def damaged(whole: Any, random: Random) -> str:
    """Up to three values replaced or removed, or a text that is cut or has a wrong letter."""
    summary = copy.deepcopy(whole)
    for _ in range(random.randint(1, 3)):
        *path, last = random.choice(list(places(summary)))
        at = summary
        for key in path:
            at = at[key]
        if random.random() < 0.2:
            del at[last]
        else:
            at[last] = copy.deepcopy(random.choice(ODD))
    text = json.dumps(summary)
    cut = random.randrange(len(text))
    return random.choice((text, text, text, text[:cut], text[:cut] + random.choice('[]{},:"\x00é') + text[cut + 1 :]))


@pytest.mark.parametrize("seed", range(5))
def test_random_damage_is_no_traceback(
    seed: int, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = root / "docs" / "pictures" / "external-concurrency.summary.json"
    whole, random = json.loads(source.read_text(encoding="utf-8")), Random(seed)
    monkeypatch.setattr(folders, "FOLDER", tmp_path)
    path = tmp_path / "20260101T000000Z-noise" / "summary.json"
    path.parent.mkdir()
    outcomes, sentences = set(), []
    for _ in range(TRIALS):
        path.write_text(damaged(whole, random), encoding="utf-8", errors="surrogatepass")
        history.noise_floor(whole["runtime"], whole["manifest"]["machine"], quick=False)
        history.measured_cpu()
        for one, other in ((source, path), (path, source)):
            try:
                compare.main(str(one), str(other))
                outcomes.add("read")
            except BadInput as refused:
                outcomes.add("refused")
                sentences.append(str(refused))
    assert all(sentence.startswith(("A: ", "B: ", "A and B ")) for sentence in sentences)
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 100_000, "is damaged: nested too deep"),
        ('{"verdict": {"status": "", "sentence": ""}, "schema_version": 3', "is damaged or cut off"),
        ("[[]]", "is not a run's summary: it is not an object"),
    ],
)
def test_a_damaged_run_is_refused_by_name(text: str, why: str, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match=f"^B: {path} {why}"):
        compare.main(str(root / "docs" / "pictures" / "external-concurrency.summary.json"), str(path))


def test_steps_that_hold_no_objects_are_refused_by_name(root: Path, tmp_path: Path) -> None:
    source = root / "docs" / "pictures" / "external-concurrency.summary.json"
    summary = json.loads(source.read_text(encoding="utf-8"))
    step: Any
    for step in ([], 7, None):
        summary["arms"][0]["steps"] = [step]
        (tmp_path / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
        with pytest.raises(BadInput, match="is not a run's summary: a step is not an object"):
            compare.main(str(source), str(tmp_path))
