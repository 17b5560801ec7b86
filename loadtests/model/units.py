"""Numbers as a reader sees them: three significant digits, and the unit that fits. Pure."""

from __future__ import annotations

import math

UNKNOWN = "–"


def digits(value: float | None) -> str:
    """Return three significant digits, and all digits of a whole number: 0.00812, 9.87, 97.0, 1,234."""
    if value is None or math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if not value:
        return "0"
    rounded = float(f"{value:.2e}")  # 9.996 has two places less than 9.99
    places = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{value:,.{places}f}"


def duration(seconds: float | None) -> str:
    """Return seconds in the unit that fits: 412 µs, 8.12 ms, 1.05 s."""
    if seconds is None or math.isnan(seconds) or math.isinf(seconds):
        return digits(seconds)
    if not seconds:
        return "0 s"
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if abs(seconds) * factor >= 0.9995:
            return f"{digits(seconds * factor)} {unit}"
    return f"{digits(seconds * 1e6)} µs"


def size(amount: float | None) -> str:
    """Return bytes in the unit that fits: 812 B, 41.0 KB, 61.2 MB, 1.50 GB."""
    if amount is None:
        return UNKNOWN
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")):
        if abs(amount) >= 0.9995 * factor:
            return f"{digits(amount / factor)} {unit}"
    return f"{amount:.0f} B"
