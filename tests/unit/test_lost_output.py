"""Output that nobody can read any longer ends no command."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

LONGEST = 60  # seconds


def listing(root: Path, stdout: int) -> subprocess.Popen[str]:
    """The experiments' document, which is longer than any buffer."""
    words = [sys.executable, "-m", "loadtests", "list", "--document"]
    return subprocess.Popen(words, cwd=root, stdout=stdout, stderr=subprocess.PIPE, text=True)


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    errors = process.communicate(timeout=LONGEST)[1]
    return process.returncode, errors


def test_a_reader_who_has_seen_enough_is_no_error(root: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    process = listing(root, write)
    os.close(write)
    assert outcome(process) == (0, "")


def test_a_terminal_that_was_closed_is_no_error(root: Path) -> None:
    master, slave = pty.openpty()
    os.close(master)
    process = listing(root, slave)
    os.close(slave)
    assert outcome(process) == (0, "")


def test_a_full_disk_is_said_and_is_no_success(root: Path) -> None:
    with Path("/dev/full").open("w") as full:
        process = listing(root, full.fileno())
    assert outcome(process) == (3, "loadtests: not all output could be written: No space left on device\n")
