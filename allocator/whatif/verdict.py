"""A scenario's outcome in three lines of plain language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from allocator.wording import number, signed_number

MOST_NAMED = 3
ROUNDING = 1e-9  # share of the value below which plans count as worth the same


@dataclass(frozen=True)
class Units:
    """What value is counted in: a currency, unless the objective is conversions."""

    currency: str
    maximize: str

    @property
    def value(self) -> str:
        """The unit of value."""
        return "conversions" if self.maximize == "incremental_conversions" else self.currency


def verdict(row: Mapping[str, Any], base: Mapping[str, Any], units: Units) -> list[str]:
    """Return three lines: what the scenario earns, what it takes and whom it reaches, what holds it back.

    Parameters
    ----------
    row, base
        Of `allocator.whatif.comparison.compare`.
    units
        Of value and spend.
    """
    return [_earns(row, base, units), _takes(row, units), _held_back(row)]


def _earns(row: Mapping[str, Any], base: Mapping[str, Any], units: Units) -> str:
    fair = ""
    if row["utility"] is not None:
        against = _change(row["difference"]["utility"])
        fair = f"Reaches a fair utility of {number(row['utility'])} ({against}). "
    if any(row[key] != base[key] for key in ("maximize", "margin")):
        return fair + _aims_elsewhere(row, units)
    if row["risk"] != base["risk"]:
        return fair + _hedges(row, units)
    change = row["difference"]["value"]
    if abs(change) < ROUNDING * max(1.0, abs(base["value"])):
        return f"{fair}Earns the same as the base plan, {number(row['value'])} {units.value}."
    share = f" ({abs(change / base['value']):.1%})" if base["value"] else ""
    verb = "Gains" if change > 0 else "Loses"
    text = f"{fair}{verb} {number(abs(change))} {units.value}{share} against the base plan"
    if row["value_range"] is None:
        return text + "."
    low, high = row["value_range"]
    between = f"{signed_number(low)} to {signed_number(high)}"
    if low <= 0 <= high:
        return f"{text}: too close to call, the best possible plans differ by {between}."
    return f"{text}; the best possible plans differ by {between} (proven)."


def _hedges(row: Mapping[str, Any], units: Units) -> str:
    """Set plans that maximise different things beside each other by what each is worth on average."""
    expected, change = row["expected_value"], _change(row["difference"]["expected_value"])
    text = f"Expects {number(expected)} {units.value} on average ({change})"
    if row["risk"] == "mean":
        return f"{text}, which it maximises; the base plan is pessimistic."
    return f"{text} and {number(row['value'])} pessimistically, which it maximises; the base plan does not."


def _aims_elsewhere(row: Mapping[str, Any], units: Units) -> str:
    """Set plans with different objectives beside each other by what the base plan maximises."""
    own = Units(units.currency, row["maximize"])
    aim = row["maximize"].replace("_", " ")
    worth, change = number(row["expected_value"]), _change(row["difference"]["expected_value"])
    return (
        f"Maximises {aim} and earns {number(row['value'])} {own.value} of it; by the base plan's "
        f"objective it is worth {worth} {units.value} ({change})."
    )


def _takes(row: Mapping[str, Any], units: Units) -> str:
    change = row["difference"]
    text = f"Spends {number(row['spend'])} {units.currency} ({_change(change['spend'])})"
    if row["return"] is not None and change["return"] is not None:
        text += f" at a return of {row['return']:.2f} ({_change(round(change['return'], 2))})"
    text += f" and reaches {row['assigned']:,} users ({_change(change['assigned'])})"
    if not row["moves"]:
        return text + "; nobody's coupon changes."
    most = row["moves"][0]
    way = f"from {most['from'] or 'nothing'} to {most['to'] or 'nothing'}"
    many = "all" if len(row["moves"]) == 1 else f"most often ({most['users']:,})"
    return f"{text}; for {row['moved']:,} the coupon changes, {many} {way}."


def _change(difference: float | None) -> str:
    if difference is None:
        return "not so in the base plan"
    return "as before" if signed_number(difference) == "=" else signed_number(difference)


def _held_back(row: Mapping[str, Any]) -> str:
    held = [limit for limit in row["limits"] if limit["binding"]]
    new = [limit["label"] for limit in held if not limit["base_binding"]]
    eased = [limit["label"] for limit in row["limits"] if limit["base_binding"] and not limit["binding"]]
    before = [limit["label"] for limit in held if limit["base_binding"]]
    parts = [f"as before by {_named(before)}"] if before else []
    parts += [f"newly by {_named(new)}"] if new else []
    parts += [f"no longer by {_named(eased)}"] if eased else []
    return f"Held back {', '.join(parts)}." if parts else "No limit holds it back."


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(f"'{label}'" for label in labels[:MOST_NAMED])
    return shown if len(labels) <= MOST_NAMED else f"{shown} and {len(labels) - MOST_NAMED} more"
