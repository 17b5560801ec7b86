"""What measures: the launcher, the load generator, the analysis, the reports and the live page."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the checkout; in the load generator's image /lab
