"""results/index.html: all runs, the newest first, with their answers and reports. Standard library alone."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from loadtests.results import files, folders

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Runs</title>
<style>
  body { font: 17px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1000px; padding: 24px; }
  li { margin: 0 0 12px; }
  small { opacity: .75; }
</style>
</head>
<body>
<h1>Runs</h1>
<ol reversed>
"""


def write() -> None:
    """Write the page anew. Raises LabError."""
    files.write(folders.FOLDER / "index.html", f"{HEAD}{''.join(rows())}</ol>\n</body>\n</html>\n")


def rows() -> Iterator[str]:
    for path in folders.summaries():
        name = path.parent.name
        if (path.parent / "report.html").is_file():
            status, headline = said(path)
            what = f"{status} · {name[17:]} · {name[:4]}-{name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]} UTC"
            link = f'<a href="{escape(name)}/report.html">{escape(headline)}</a>'
            yield f"<li>{link}<br><small>{escape(what)}</small></li>\n"


def said(path: Path) -> tuple[str, str]:
    """Return the status and the headline of a run, whatever its summary.json holds."""
    try:
        verdict = folders.summary(path)["verdict"]
        return str(verdict["status"]), str(verdict.get("headline") or verdict["sentence"].partition(": ")[0])
    except (AttributeError, KeyError, TypeError):
        return "unknown", "a run whose summary.json cannot be read"
