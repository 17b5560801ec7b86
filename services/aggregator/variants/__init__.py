"""Ways to make a page besides the strategies, a module per topic; those that are wrong are in pitfalls.py."""

from __future__ import annotations

# Imported to register their pages:
from services.aggregator import clients, database, pitfalls, strategies  # noqa: F401
from services.aggregator.registry import STRATEGY_PATHS, VARIANT_PATHS, kinds
from services.aggregator.variants import background, class_based, deadlines, streaming  # noqa: F401

STRATEGIES, VARIANTS = kinds(STRATEGY_PATHS), kinds(VARIANT_PATHS)
