"""How many sends would show an uplift: the power of a comparison of two proportions."""

from __future__ import annotations

import math

from allocator.plugins.evaluation import Power
from predictors.evaluation.estimates import Z

Z_POWER = 0.8416212335729143
"""80 % quantile of the normal distribution."""
HALVINGS = 100


def power(coupon_id: str, control_rate: float, uplift: float, treated: int, control: int) -> Power:
    """Return how many rows would show the uplift, and the least uplift that the rows there are would show.

    With 80 % power in a two-sided test at the 5 % level. Fleiss, Levin and Paik, "Statistical Methods
    for Rates and Proportions", Wiley 2003, section 4.2, without continuity correction.

    Parameters
    ----------
    coupon_id
        The coupon.
    control_rate, uplift
        Conversion without the coupon, and what the coupon adds.
    treated, control
        Rows there are; the proportion between them is kept.
    """
    ratio = control / max(treated, 1)
    needed = rows_needed(control_rate, uplift, ratio)
    detectable = _detectable(control_rate, treated, ratio)
    return Power(
        coupon_id, control_rate, uplift, treated, control, needed, _whole(needed * ratio), detectable
    )


def rows_needed(control_rate: float, uplift: float, ratio: float) -> float:
    """Return the number of treated rows that show an uplift, with `ratio` control rows for each.

    NaN where the uplift is 0, or there is no such rate or no control row.
    """
    treated_rate = control_rate + uplift
    if uplift == 0 or ratio <= 0 or not 0 <= control_rate <= 1 or not 0 <= treated_rate <= 1:
        return math.nan
    mean = (treated_rate + ratio * control_rate) / (1 + ratio)
    same = math.sqrt((1 + 1 / ratio) * mean * (1 - mean))
    apart = math.sqrt(treated_rate * (1 - treated_rate) + control_rate * (1 - control_rate) / ratio)
    return _whole(((Z * same + Z_POWER * apart) / uplift) ** 2)


def _detectable(control_rate: float, treated: int, ratio: float) -> float:
    """Return the least positive uplift that so many rows show; NaN if none does."""
    low, high = 0.0, 1.0 - control_rate
    if not rows_needed(control_rate, high, ratio) <= treated:
        return math.nan
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if rows_needed(control_rate, middle, ratio) <= treated else (middle, high)
    return high


def _whole(rows: float) -> float:
    return float(math.ceil(rows)) if math.isfinite(rows) else rows
