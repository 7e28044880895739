"""A scenario's changes in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from allocator.campaign.config import Scenario


def described(scenario: Scenario) -> list[str]:
    """Return one line a change, as one would type it."""
    lines = [f"set {path}={_plain(value)}" for path, value in scenario.set.items()]
    lines += [f"scale {name}={factor:g}" for name, factor in scenario.scale.items()]
    lines += [
        f"coupon {coupon}.{column}={_plain(value)}"
        for coupon, terms in scenario.coupons.items()
        for column, value in terms.items()
    ]
    lines += [f"add-coupon {_row(row)}" for row in scenario.add_coupons]
    lines += [f"drop-coupon {coupon}" for coupon in scenario.drop_coupons]
    lines += [f"add-limit {_row(row)}" for row in scenario.add_limits]
    lines += [f"drop-limit {label}" for label in scenario.drop_limits]
    lines += [f"objective {key}={_plain(value)}" for key, value in scenario.objective.items()]
    return lines + ([f"risk {scenario.risk}"] if scenario.risk else [])


def _row(row: dict[str, Any]) -> str:
    return " ".join(f"{key}={_plain(value)}" for key, value in row.items())


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and " " in text else text
