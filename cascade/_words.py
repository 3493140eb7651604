"""Numbers for readers: few digits, true minus signs, percentage points, ratios."""

from __future__ import annotations

import math


def number(value: float, digits: int = 3) -> str:
    """Write a number for a reader: few digits, a true minus sign, a dash for what is missing."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.{digits}g}".replace("-", "−")


def percent(value: float) -> str:
    """Write a share as a percentage."""
    if not math.isfinite(value):
        return "–"
    if 0 < abs(value) < 0.01 or 0.99 < abs(value) < 1:
        return f"{100 * value:.1f} %".replace("-", "−")
    return f"{100 * value:.0f} %".replace("-", "−")


def effect_text(value: float, scale: str, unit: str) -> str:
    """Write an effect: percentage points of a probability, a ratio on the log scale, else a number with its unit."""
    if not math.isfinite(value):
        return "–"
    if scale == "log_ratio":
        return "×" + number(math.exp(value))
    if unit == "dimensionless":
        return points(value)
    return f"{number(value)} {unit}"


def points(value: float) -> str:
    """Write a difference of probabilities in percentage points; what rounds to nothing has no sign."""
    shown = f"{100 * value:+.1f}" if abs(value) >= 0.01 else f"{100 * value:+.2f}"
    return "0" if float(shown) == 0 else shown.replace("-", "−")
