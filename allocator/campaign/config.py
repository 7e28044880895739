"""The keys of campaign.toml, checked all at once."""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from allocator.campaign.columns.meanings import Columns
from allocator.campaign.experiment_table import ExperimentTable
from allocator.campaign.formats.settings import Format, Tables
from allocator.campaign.instants import FIRST_YEAR, LAST_YEAR, in_utc, is_time_zone
from allocator.campaign.languages import canonical_tag, language_of
from allocator.errors import Finding, InputError
from allocator.limits.objectives import Fairness, MaxMin, ProportionalFairness

FILE = "campaign.toml"
LONGEST_TITLE = 50
Channel = Literal["sms", "push", "email", "in_app"]
Language = Annotated[str, AfterValidator(canonical_tag)]
Scaled = Literal["value", "cost", "uplift", "conversion", "redemption", "revenue"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Fee = Annotated[Number, Field(ge=0)]
Moment = Annotated[dt.datetime, Field(strict=False)]  # also as text, as JSON and a run's own file have it
Risk = Literal["mean", "pessimistic"]
Separator = Annotated[
    str, Field(min_length=1, max_length=5), AfterValidator(lambda mark: mark.strip() or mark)
]
Notice = Annotated[str, Field(min_length=1, max_length=100)]


def _setting(value: Any) -> Any:
    """Take a number, a text or a list of texts; a union of types would report each that does not fit."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise ValueError("input should be a finite number")
        return float(value)
    if isinstance(value, str) or (isinstance(value, list) and all(isinstance(part, str) for part in value)):
        return value
    raise ValueError("input should be a number, a text or a list of texts")


def _day(day: dt.date | None) -> dt.date | None:
    if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"the year should be {FIRST_YEAR} to {LAST_YEAR}")
    return day


Setting = Annotated[Any, AfterValidator(_setting)]


class Table(BaseModel):
    """A table of campaign.toml; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CampaignTable(Table):
    """``[campaign]``: where the campaign runs.

    `time_zone` is a name such as ``Europe/Berlin``, of all dates, and of times that do not say how far they
    are from UTC.
    """

    time_zone: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, name: str | None) -> str | None:
        if name is not None and not is_time_zone(name):
            raise ValueError("there is no such time zone; name one such as Europe/Berlin or America/New_York")
        return name


class Objective(Table):
    """``[objective]``: what the plan earns, how sure of it, and how fairly between the groups of `by`.

    With `risk` pessimistic each pair is worth what its value exceeds with probability `confidence`.
    """

    maximize: Literal[
        "incremental_margin", "incremental_revenue", "incremental_conversions", "net_profit"
    ] = "incremental_margin"
    margin: float = Field(default=1.0, gt=0, le=1)
    risk: Risk = "mean"
    confidence: float = Field(default=0.8, gt=0.5, lt=1)
    fairness: Literal["proportional", "max_min"] | None = None
    by: str | list[str] | None = None
    weights: dict[str, Fee] | None = None

    @model_validator(mode="after")
    def _fairness_is_whole(self) -> Self:
        if self.fairness is None and (self.by is not None or self.weights is not None):
            raise ValueError(
                'by and weights belong to a fairness; add fairness = "max_min" or "proportional"'
            )
        if self.fairness is not None and not self.by:
            raise ValueError("fairness needs the user column to group by, or a list of them, as by")
        return self

    def fair(self) -> Fairness | None:
        """Return the fair objective that the table asks for, None for the sum of values."""
        if self.fairness is None or self.by is None:
            return None
        kind = MaxMin if self.fairness == "max_min" else ProportionalFairness
        return kind(self.by, self.weights)


class Predict(Table):
    """``[predict]``: which predictor, and its options."""

    predictor: str = "auto"
    device: str = "auto"
    options: dict[str, Any] = {}


class Solve(Table):
    """``[solve]``: method and stopping targets."""

    method: Literal["auto", "decomposition", "exact", "convex"] = "auto"
    gap: float = Field(default=1e-4, ge=0)
    time_limit: float = Field(default=60.0, gt=0)


class Eligibility(Table):
    """``[eligibility]``: who may be sent anything at all."""

    max_messages_7d: int | None = Field(default=None, ge=1)  # 0 would leave out everyone


class CopyTable(Table):
    """``[copy]``: voice, channels and languages of the messages.

    `languages` are tags of en and zh; a user's locale picks one. Of each message there are `variants`
    texts. `opt_out` is how to stop further messages, by language, in place of the usual notice, and
    `may_mention` names the user columns whose values a text may hold.
    """

    brand: str = Field(default="", max_length=60)
    tone: str = Field(default="warm", max_length=40)
    channels: tuple[Channel, ...] = ("sms",)
    languages: tuple[Language, ...] = Field(default=("en",), min_length=1)
    segment_by: str | None = None
    variants: Annotated[int, Field(strict=True, ge=1, le=26)] = 1
    opt_out: dict[Language, Notice] = {}
    may_mention: tuple[str, ...] = ()
    writer: str = "local"
    options: dict[str, Any] = {}

    # TOML arrays arrive as lists; the rest of the table stays strict.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    @field_validator("languages")
    @classmethod
    def _each_once(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [tag for tag in languages if languages.count(tag) > 1]:
            raise ValueError(f"{twice[0]} is named twice; keep one")
        return languages

    @field_validator("opt_out")
    @classmethod
    def _of_a_language_that_is_written(cls, notices: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        languages = info.data.get("languages", ())
        written = {*languages, *map(language_of, languages)}
        if languages and (strange := [tag for tag in notices if tag not in written]):
            raise ValueError(f"{strange[0]} is not among languages; add it there, or remove this notice")
        return notices

    def notice(self, tag: str) -> str:
        """Return the opt-out notice in a language, empty where the usual one is to be used."""
        return self.opt_out.get(tag) or self.opt_out.get(language_of(tag), "")


class Online(Table):
    """``[online]``: when users arrive, for decisions at request time.

    Between `starts_at` and `ends_at` (without an offset: in the campaign's time zone); `profile` is the
    volume expected in equal parts of that time, in any unit.
    """

    starts_at: Moment | None = None
    ends_at: Moment | None = None
    profile: list[Fee] = []

    @model_validator(mode="after")
    def _time_is_whole(self) -> Self:
        times = self.times()
        if len(times) == 1:
            raise ValueError("starts_at and ends_at belong together; give both")
        if times and not times["starts_at"] < times["ends_at"]:
            raise ValueError("ends_at must be after starts_at")
        if self.profile and not times:
            raise ValueError("a profile is of a time; give starts_at and ends_at")
        if self.profile and not any(self.profile):
            raise ValueError("a profile must not be all 0")
        return self

    def times(self, time_zone: str | None = None) -> dict[str, float]:
        """Return what is stated of `starts_at` and `ends_at`, in seconds since the epoch."""
        stated = {"starts_at": self.starts_at, "ends_at": self.ends_at}
        return {
            name: (at if at.tzinfo else in_utc(at, time_zone).replace(tzinfo=dt.UTC)).timestamp()
            for name, at in stated.items()
            if at is not None
        }


class Scenario(Table):
    """``[[scenarios]]``: one what-if.

    `set` maps ``<limit label>.<key>`` (``<limit label>.at_most.<coupon>`` for a stock) to a new number or
    text, such as the column of its groups; `scale` maps a prediction, or ``value`` or ``cost``, to a
    factor; `add_limits` holds tables as in ``[[limits]]`` and `drop_limits` labels. `coupons` maps coupons
    to the columns of coupons.csv that change, `add_coupons` holds whole rows. `objective` holds keys of
    ``[objective]``, and `risk` is short for its `risk`.
    """

    name: str = Field(min_length=1)
    set: dict[str, Setting] = {}
    coupons: dict[str, dict[str, Any]] = {}
    add_coupons: list[dict[str, Any]] = []
    drop_coupons: list[str] = []
    scale: dict[Scaled, Number] = {}
    add_limits: list[dict[str, Any]] = []
    drop_limits: list[str] = []
    objective: dict[str, Any] = {}
    risk: Risk | None = None

    @property
    def title(self) -> str:
        """What messages call it; a name made of many changes is cut."""
        name = self.name if len(self.name) <= LONGEST_TITLE else self.name[: LONGEST_TITLE - 3] + "..."
        return f"scenario '{name}'"


class Config(Table):
    """The whole of campaign.toml."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    name: str = Field(min_length=1, max_length=120)
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    seed: int = Field(default=7, ge=0, lt=2**32)
    as_of: Annotated[dt.date | None, AfterValidator(_day)] = None
    campaign: CampaignTable = CampaignTable()
    tables: Tables = Tables()
    format: Format = Format()
    objective: Objective = Objective()
    predict: Predict = Predict()
    solve: Solve = Solve()
    eligibility: Eligibility = Eligibility()
    sets: dict[str, Separator] = {}
    sending_cost: dict[Channel, Fee] = {}
    columns: Columns = {}
    limits: list[dict[str, Any]] = []
    copy_: CopyTable = Field(default=CopyTable(), alias="copy")
    scenarios: list[Scenario] = []
    online: Online = Online()
    experiment: ExperimentTable | None = None

    @model_serializer(mode="wrap")
    def _without_experiment(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the table out where there is none, so that runs without it stay as they were."""
        document: dict[str, Any] = handler(self)
        if self.experiment is None:
            document.pop("experiment", None)
        return document


def parse_config(text: str, file: str = FILE) -> Config:
    """Parse campaign.toml.

    Raises
    ------
    InputError
        With every key that is unknown or has a wrong value.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(Finding(f"this is not valid TOML: {error}", file=file)) from error
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        raise InputError([toml_finding(detail, file) for detail in error.errors()]) from error
    repeats = [
        s.name for i, s in enumerate(config.scenarios) if s.name in {t.name for t in config.scenarios[:i]}
    ]
    if repeats:
        raise InputError(
            [
                Finding("two scenarios have one name", file=file, column="scenarios", found=repr(r))
                for r in repeats
            ]
        )
    return config


def toml_finding(detail: Any, file: str, prefix: str = "") -> Finding:
    """Turn one pydantic error into a finding in the user's words."""
    key = prefix
    for part in detail["loc"]:
        if part == "[key]":  # of a table whose keys are checked, too
            continue
        key += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if key else str(part)
    kind, found = detail["type"], detail["input"]
    if kind == "extra_forbidden" or kind == "unexpected_keyword_argument":
        return Finding(
            "unknown key; correct its spelling or remove it", file=file, column=key, found=_short(found)
        )
    if kind in ("missing", "missing_argument"):
        return Finding("this key is required", file=file, column=key)
    if kind in ("model_type", "dataclass_type", "dict_type"):
        message = "this must be a table, with keys of its own"
        return Finding(message, file=file, column=key, found=_short(found))
    message = detail["msg"].removeprefix("Value error, ")
    return Finding(message[0].lower() + message[1:], file=file, column=key, found=_short(found))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _other_case(folder: Path) -> str | None:
    """Return the name of a file that differs from campaign.toml by case alone."""
    names = (path.name for path in folder.iterdir()) if folder.is_dir() else iter(())
    return next((name for name in names if name.lower() == FILE), None)


def read_config(folder: Path) -> Config:
    """Read ``campaign.toml`` in `folder`."""
    path = folder / FILE
    if not path.is_file() and (other := _other_case(folder)) is not None:
        raise InputError(Finding("the file's name is not in small letters; rename it", other, expected=FILE))
    if not path.is_file():
        raise InputError(
            Finding("file is missing; `allocate init DIR` writes one to start from", file=str(path))
        )
    try:
        return parse_config(path.read_text(encoding="utf-8-sig"), path.name)
    except UnicodeDecodeError as error:
        raise InputError(Finding("file is not UTF-8; save it as UTF-8", file=path.name)) from error


def table_settings(folder: Path) -> tuple[Tables, Format, Columns] | None:
    """Return ``[tables]``, ``[format]`` and ``[columns]``, also where the rest of campaign.toml is wrong.

    None if they are wrong themselves or cannot be told, which `read_config` reports.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return Tables(), Format(), {}
    try:
        data = tomllib.loads(text)
        tables = Tables.model_validate(data.get("tables", {}))
        columns = TypeAdapter(Columns).validate_python(data.get("columns", {}))
        return tables, Format.model_validate(data.get("format", {})), columns
    except ValidationError:
        return None
    except tomllib.TOMLDecodeError:
        stated = any(f"[{table}" in text for table in ("tables", "format", "columns"))
        return None if stated else (Tables(), Format(), {})
