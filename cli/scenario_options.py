"""Scenarios on the command line: options whose order says which scenario a change belongs to."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from allocator.campaign.config import Scenario

NEW = "--scenario"
PART = re.compile(
    r"""([\w.-]+)\s*=\s*("[^"]*"|'[^']*'|\[[^\]]*\]|\{[^}]*\}|[^\s,]+)(?:\s*,\s*|\s+|$)""",
)

LISTS = ("add_limits", "drop_limits", "add_coupons", "drop_coupons")
TABLES = ("set", "scale", "coupons", "objective")
CHANGES: dict[str, click.Option] = {
    "name": click.Option([NEW, "name"], metavar="NAME", help="Begin a scenario: what follows belongs to it."),
    "base": click.Option(
        ["--with", "base"], multiple=True, metavar="NAME", help="Take over another scenario's changes."
    ),
    "set": click.Option(
        ["--set", "set"], multiple=True, metavar="LABEL.KEY=VALUE", help="Change a number or text of a limit."
    ),
    "add_limits": click.Option(
        ["--add-limit", "add_limits"], multiple=True, metavar="'KEY=VALUE ...'",
        help="Add a limit, with the keys of a [[limits]] table.",
    ),
    "drop_limits": click.Option(
        ["--drop-limit", "drop_limits"], multiple=True, metavar="LABEL", help="Leave a limit out."
    ),
    "coupons": click.Option(
        ["--coupon", "coupons"], multiple=True, metavar="COUPON.COLUMN=VALUE",
        help="Change what coupons.csv says of a coupon: value, max_discount, min_spend, inventory, ...",
    ),
    "add_coupons": click.Option(
        ["--add-coupon", "add_coupons"], multiple=True, metavar="'COLUMN=VALUE ...'",
        help="Add a coupon, with the columns of coupons.csv.",
    ),
    "drop_coupons": click.Option(
        ["--drop-coupon", "drop_coupons"], multiple=True, metavar="COUPON", help="Leave a coupon out."
    ),
    "scale": click.Option(
        ["--scale", "scale"], multiple=True, metavar="WHAT=FACTOR",
        help="Multiply value, cost, uplift, conversion, redemption or revenue.",
    ),
    "objective": click.Option(
        ["--objective", "objective"], multiple=True, metavar="KEY=VALUE",
        help="Change a key of [objective]: maximize, margin, fairness, by, ...",
    ),
    "risk": click.Option(
        ["--risk", "risk"], type=click.Choice(["mean", "pessimistic"]),
        help="Maximise values as expected, or as they are at least.",
    ),
}  # fmt: skip


class ScenarioCommand(click.Command):
    """A command that takes any number of scenarios; it gets their options as `parts`, one for each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in CHANGES.values():
            option.expose_value = False
        self.params = [self.params[0], *CHANGES.values(), *self.params[1:]]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the scenarios out of the arguments, then parse the others."""
        end = args.index("--") if "--" in args else len(args)
        parts: list[dict[str, Any]] = []
        others: list[str] = []
        for part in _parts(args[:end]):
            changes, left = _split(part, ctx)
            others += left
            parts += [changes] if any(changes.values()) else []
        rest = super().parse_args(ctx, [*others, *args[end:]])
        ctx.params["parts"] = parts
        return rest


def _split(args: Sequence[str], ctx: click.Context) -> tuple[dict[str, Any], list[str]]:
    """Return the changes among some arguments, by the keys of `CHANGES`, and the arguments that are none."""
    command = click.Command(ctx.info_name, params=list(CHANGES.values()), add_help_option=False)
    try:
        with click.Context(
            command, ctx.parent, ctx.info_name, ignore_unknown_options=True, allow_extra_args=True
        ) as own:
            changes, others, _ = command.make_parser(own).parse_args(list(args))
    except click.UsageError as error:
        error.ctx = ctx
        raise
    return changes, others


def _parts(args: Sequence[str]) -> Iterable[list[str]]:
    """Cut the arguments before each ``--scenario``."""
    part: list[str] = []
    for argument in args:
        if argument == NEW or argument.startswith(f"{NEW}="):
            yield part
            part = []
        part.append(argument)
    yield part


def scenarios_of(parts: Sequence[dict[str, Any]], known: Sequence[Scenario]) -> list[Scenario]:
    """Make scenarios of the options, each of which may build on those of campaign.toml and on earlier ones.

    Raises
    ------
    click.UsageError
        If an option cannot be read, a name is used twice, or a scenario changes nothing.
    """
    by_name = {scenario.name: scenario for scenario in known}
    made = []
    for part in parts:
        scenario = _scenario(part, by_name)
        if scenario.name in by_name or scenario.name == "base":
            raise click.BadParameter(
                f"there is already a scenario '{scenario.name}'; give this one another name "
                "(--with NAME builds on one)",
                param_hint=NEW,
            )
        by_name[scenario.name] = scenario
        made.append(scenario)
    return made


def read_scenario(arguments: Sequence[str], known: Sequence[Scenario]) -> Scenario:
    """Make one scenario of options of the command line; for errors, see `scenarios_of`."""
    changes, others = _split(arguments, click.get_current_context())
    if others:
        raise click.UsageError(f"cannot read '{' '.join(others)}'")
    return scenarios_of([changes], known)[0]


def _scenario(part: dict[str, Any], by_name: dict[str, Scenario]) -> Scenario:
    from pydantic import ValidationError

    from allocator.campaign.config import Scenario

    own = {key: part.get(key) or [] for key in CHANGES if key not in ("name", "risk")}
    risk = part.get("risk")
    if not any(own.values()) and risk is None:
        message = f"the scenario '{part['name']}' changes nothing; follow it with --set, --drop-coupon, ..."
        raise click.BadParameter(message, param_hint=NEW)
    table: dict[str, Any] = {key: [] for key in LISTS} | {key: {} for key in TABLES} | {"risk": None}
    for name in own["base"]:
        if name not in by_name:
            names = ", ".join(f"'{known}'" for known in by_name) or "there are none yet"
            raise click.BadParameter(f"there is no scenario '{name}' ({names})", param_hint="--with")
        _add(table, by_name[name].model_dump(exclude={"name"}))
    changes = {
        "set": _pairs(own["set"], "--set"),
        "scale": _numbers(own["scale"], "--scale"),
        "objective": _pairs(own["objective"], "--objective"),
        "coupons": _terms(own["coupons"]),
        "add_limits": [_row(text, "--add-limit") for text in own["add_limits"]],
        "add_coupons": [_row(text, "--add-coupon") for text in own["add_coupons"]],
    }
    _add(table, {**own, **changes, "risk": risk})
    try:
        return Scenario.model_validate({**table, "name": part.get("name") or _name(own, risk)})
    except ValidationError as error:
        details = [detail["loc"] for detail in error.errors()]
        if any(place[0] != "scale" for place in details):
            raise click.BadParameter(str(error.errors()[0]["msg"]), param_hint=NEW) from error
        wrong = ", ".join(str(place[1]) for place in details)
        message = f"unknown prediction {wrong}; use value, cost, uplift, conversion, redemption or revenue"
        raise click.BadParameter(message, param_hint="--scale") from error


def _add(table: dict[str, Any], changes: dict[str, Any]) -> None:
    """Add changes: lists grow, factors multiply, and what is set later replaces what was set earlier."""
    for name, factor in changes["scale"].items():
        table["scale"][name] = table["scale"].get(name, 1.0) * factor
    for name, terms in changes["coupons"].items():
        table["coupons"][name] = {**table["coupons"].get(name, {}), **terms}
    table["set"] |= changes["set"]
    table["objective"] |= changes["objective"]
    table["risk"] = changes["risk"] or table["risk"]
    for key in LISTS:
        table[key] += [entry for entry in changes[key] if entry not in table[key]]


def _name(own: dict[str, Sequence[str]], risk: str | None) -> str:
    """Return a name that says what an unnamed scenario changes."""
    without = [f"without {label}" for key in ("drop_coupons", "drop_limits") for label in own[key]]
    added = [f"plus {text}" for key in ("add_coupons", "add_limits") for text in own[key]]
    changed = [text for key in ("set", "coupons", "scale", "objective") for text in own[key]]
    return ", ".join([*own["base"], *changed, *without, *added, *([risk] if risk else [])])


def _row(text: str, option: str) -> dict[str, Any]:
    """Read ``kind=floor at_least=0.1 users.region=north`` as a table; values are TOML or bare words."""
    table: dict[str, Any] = {}
    place = 0
    while place < len(text.rstrip()):
        part = PART.match(text, place + len(text[place:]) - len(text[place:].lstrip()))
        if part is None:
            message = f"cannot read '{text[place:]}': write KEY=VALUE, with text of several words in quotes"
            raise click.BadParameter(message, param_hint=option)
        *path, key = part[1].split(".")
        inner = table
        for name in path:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                raise click.BadParameter(f"'{name}' is given twice in '{text}'", param_hint=option)
        if key in inner:
            raise click.BadParameter(f"'{part[1]}' is given twice in '{text}'", param_hint=option)
        inner[key] = _value(part[2], option)
        place = part.end()
    return table


def _value(text: str, option: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if text[0] in "[{\"'":
            message = f"cannot read {text}: {error}"
            raise click.BadParameter(message, param_hint=option) from error
        return text


def _pairs(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """Read ``KEY=VALUE`` each, cut at the last ``=``, because labels may have one."""
    result: dict[str, Any] = {}
    for pair in pairs:
        key, _, text = pair.rpartition("=")
        if not key.strip() or not text.strip():
            raise click.BadParameter(f"'{pair}' is not KEY=VALUE", param_hint=option)
        if key in result:
            raise click.BadParameter(f"'{key}' is given twice", param_hint=option)
        result[key] = _value(text.strip(), option)
    return result


def _terms(pairs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``COUPON.COLUMN=VALUE`` each; a coupon's name may have dots, a column's has none."""
    result: dict[str, dict[str, Any]] = {}
    for path, value in _pairs(pairs, "--coupon").items():
        coupon, _, column = path.rpartition(".")
        if not coupon:
            raise click.BadParameter(f"'{path}' is not COUPON.COLUMN", param_hint="--coupon")
        result.setdefault(coupon, {})[column] = value
    return result


def _numbers(pairs: Sequence[str], option: str) -> dict[str, float]:
    result: dict[str, float] = {}
    for pair in pairs:
        key, _, text = pair.rpartition("=")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not key or not math.isfinite(number):
            raise click.BadParameter(f"'{pair}' is not NAME=NUMBER", param_hint=option)
        if key in result:
            raise click.BadParameter(f"'{key}' is given twice", param_hint=option)
        result[key] = number
    return result
