"""``[experiment]`` of campaign.toml."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from allocator.experiment.arms import Experiment, share_finding


def _share(value: Any) -> float:
    if value == "auto":
        raise ValueError(
            'sizes are not chosen by themselves yet; state a share such as 0.05 in place of "auto", or 0'
        )
    if (wrong := share_finding("share", value)) is not None:
        raise ValueError(f"{wrong.message}; expected {wrong.expected}")
    return float(value)


Share = Annotated[float, BeforeValidator(_share)]


class ExperimentTable(BaseModel):
    """``[experiment]``: how much of a wave chance decides, so that its outcome can be learnt from.

    Of the users who may get something, the share `holdout` gets nothing and the share `explore` a random
    coupon among those they may get; 0 switches an arm off. All users with one label of `unit` share an arm,
    and each combination of `strata` is drawn by itself. `wave` names this send: another name is another
    draw. What is learnt serves `waves_to_come` more waves.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    holdout: Share = 0.0
    explore: Share = 0.0
    unit: str = Field(default="user_id", min_length=1)
    strata: list[str] = []
    waves_to_come: Annotated[int | None, Field(ge=1)] = None
    wave: str = Field(default="wave 1", min_length=1, max_length=60)

    @model_validator(mode="after")
    def _leaves_a_plan(self) -> Self:
        if self.holdout + self.explore >= 1:
            raise ValueError(
                "holdout and explore leave nobody to the plan; together they must be less than 1"
            )
        if twice := [name for name in self.strata if self.strata.count(name) > 1]:
            raise ValueError(f"strata name '{twice[0]}' twice")
        return self

    def shares(self, seed: int) -> Experiment:
        """Return the experiment of a campaign's seed."""
        return Experiment(self.holdout, self.explore, seed, self.wave)
