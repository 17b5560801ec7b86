"""How large a difference has to be before it means anything. Pure; shares."""

from __future__ import annotations

# What two runs of the same arm differ by on a shared machine; `make loadtest EXPERIMENT=noise` measures yours.
FLOOR = 0.05
