"""Runs a command in the project's folder and environment, once before anything is measured: migrations, fixtures."""

from __future__ import annotations

import subprocess
import sys

from services import env
from services.own import project

if __name__ == "__main__":
    command = env.text("LAB_APP_SETUP")
    project.enter()
    sys.exit(subprocess.run(["/bin/sh", "-ec", command], check=False).returncode)
