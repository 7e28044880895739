"""Requests from plain mappings, such as the ones that arrive as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.online.plan import OnlinePlan
from allocator.online.records import DecisionRequest
from allocator.online.settling import MOST_AMOUNT

Array = NDArray[np.float64]

LONGEST_ID = 200
MOST_NAMED = 12  # coupons in one message


class RequestReader:
    """Makes requests for a plan from mappings by coupon id, and says all that is wrong with them.

    Parameters
    ----------
    plan
        Whose coupons, measures and group columns they name.
    """

    def __init__(self, plan: OnlinePlan) -> None:
        self._plan = plan
        self._place = {coupon: j for j, coupon in enumerate(plan.coupon_ids)}
        self._needed = plan.measures
        self._counted = {term.measure for row in plan.guaranteed for term in row.terms}

    def read(
        self,
        request_id: str,
        value: Mapping[str, float],
        measures: Mapping[str, Mapping[str, float]] | None = None,
        groups: Mapping[str, str] | None = None,
        user_id: str | None = None,
        most: Mapping[str, Mapping[str, float]] | None = None,
    ) -> DecisionRequest:
        """Return a request.

        Parameters
        ----------
        request_id, user_id, groups
            As in `DecisionRequest`.
        value
            By coupon id; a coupon that is left out is not open to the user.
        measures, most
            By name, and then by coupon id; `measures` for every coupon that has a value.

        Raises
        ------
        InputError
            With every finding.
        """
        findings: list[Finding] = []
        for name, given in (("request_id", request_id), ("user_id", user_id)):
            if given is not None and not (isinstance(given, str) and 0 < len(given) <= LONGEST_ID):
                expected = f"text of 1 to {LONGEST_ID} characters"
                findings.append(Finding("cannot be used as an id", column=name, expected=expected))
        measures = {} if measures is None else measures
        groups = {} if groups is None else groups
        most = {} if most is None else most
        unread = _not_by_name({"value": value, "groups": groups})
        unread += _not_by_name({"measures": measures, "most": most}, nested=True)
        if unread:
            raise InputError([*findings, *unread])
        worth = self._array(value, "value", math.nan, findings)
        open_ = [coupon for coupon in value if coupon in self._place]
        return self._finish(
            DecisionRequest(
                request_id,
                worth,
                self._amounts(measures, open_, findings),
                self._labels(groups, findings),
                user_id,
                self._most(most, findings),
            ),
            findings,
        )

    def _finish(self, request: DecisionRequest, findings: list[Finding]) -> DecisionRequest:
        if findings:
            raise InputError(findings)
        return request

    def _amounts(
        self, measures: Mapping[str, Mapping[str, float]], open_: Iterable[str], findings: list[Finding]
    ) -> dict[str, Array]:
        self._known(measures, "measures", findings)
        for name in self._needed:
            if missing := [coupon for coupon in open_ if coupon not in measures.get(name, {})]:
                message = "a limit counts this measure; give it for every coupon that has a value"
                found = "none for " + _some(missing)
                findings.append(Finding(message, column=f"measures.{name}", found=found))
        return {
            name: self._array(
                measures.get(name, {}), f"measures.{name}", 0.0, findings, name in self._counted
            )
            for name in self._needed
        }

    def _most(self, most: Mapping[str, Mapping[str, float]], findings: list[Finding]) -> dict[str, Array]:
        self._known(most, "most", findings)
        return {
            name: self._array(amounts, f"most.{name}", 0.0, findings, True)
            for name, amounts in most.items()
            if name in self._needed
        }

    def _known(self, given: Mapping[str, Any], where: str, findings: list[Finding]) -> None:
        for name in given:
            if name not in self._needed:
                expected = ", ".join(self._needed) or "none"
                message = "the plan's limits count no such measure"
                findings.append(Finding(message, column=where, found=repr(name), expected=expected))

    def _labels(self, groups: Mapping[str, str], findings: list[Finding]) -> dict[str, str]:
        for column in groups:
            if column not in self._plan.groups:
                expected = ", ".join(self._plan.groups) or "none"
                message = "the plan has no such group column"
                findings.append(Finding(message, column="groups", found=repr(column), expected=expected))
        for column in self._plan.group_columns:
            if column not in groups:
                findings.append(
                    Finding("a limit needs the user's label in this column", column=f"groups.{column}")
                )
        return {column: str(groups[column]) for column in self._plan.groups if column in groups}

    def _array(
        self,
        amounts: Mapping[str, float],
        where: str,
        missing: float,
        findings: list[Finding],
        counted: bool = False,
    ) -> Array:
        array = np.full(len(self._place), missing)
        if unknown := [coupon for coupon in amounts if coupon not in self._place]:
            expected = "one of " + _some(list(self._place))
            message = "the plan has no such coupon"
            findings.append(Finding(message, column=where, found=_some(unknown), expected=expected))
        for coupon, amount in amounts.items():
            if coupon not in self._place:
                continue
            if isinstance(amount, bool) or not isinstance(amount, int | float):
                message = f"coupon '{coupon}': must be a number"
                findings.append(Finding(message, column=where, found=repr(amount)))
            elif not (math.isfinite(amount) and abs(amount) <= MOST_AMOUNT):
                message = f"coupon '{coupon}': must be a number of at most {MOST_AMOUNT:g}"
                findings.append(Finding(message, column=where, found=str(amount)))
            elif counted and amount < 0:
                message = f"coupon '{coupon}': a guaranteed limit counts it, so it must be 0 or more"
                findings.append(Finding(message, column=where, found=f"{amount:g}"))
            else:
                array[self._place[coupon]] = amount
        return array


def _not_by_name(given: Mapping[str, Any], nested: bool = False) -> list[Finding]:
    """Return a finding for each thing given that is no mapping; where `nested`, for what is in it, too."""
    findings = []
    for name, amounts in given.items():
        if not isinstance(amounts, Mapping):
            findings.append(Finding("must be given by name", column=name, found=type(amounts).__name__))
        elif nested:
            findings += _not_by_name({f"{name}.{key}": amount for key, amount in amounts.items()})
    return findings


def _some(names: list[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(map(repr, names[:MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")
