"""Ways to make a page besides the strategies, a module per topic; those that are wrong are in pitfalls.py."""

from __future__ import annotations

from services.aggregator import database as database  # imported to register its pages, as those below
from services.aggregator import pitfalls as pitfalls
from services.aggregator import strategies as strategies
from services.aggregator.registry import STRATEGY_PATHS, VARIANT_PATHS, kinds
from services.aggregator.variants import background as background
from services.aggregator.variants import class_based as class_based
from services.aggregator.variants import deadlines as deadlines
from services.aggregator.variants import other_clients as other_clients
from services.aggregator.variants import streaming as streaming

STRATEGIES, VARIANTS = kinds(STRATEGY_PATHS), kinds(VARIANT_PATHS)
