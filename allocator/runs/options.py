"""What a caller may set beside campaign.toml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from allocator.campaign import Campaign

if TYPE_CHECKING:
    from allocator.solver.pricing.settings import Kind


@dataclass(frozen=True)
class Options:
    """What a caller may set beside campaign.toml; None keeps the campaign's setting.

    `least_violation` asks for the plan that breaks limits least where they clash; `keep_interrupted`
    goes on with the best plan so far where Ctrl-C ends the solve; without `charts` the run's page has tables
    only.
    """

    seed: int | None = None
    method: str | None = None
    gap: float | None = None
    time_limit: float | None = None
    predictor: str | None = None
    writer: str | None = None
    device: str | None = None
    threads: int | None = None
    engine: Kind = "auto"
    solve_device: str | None = None
    format: str = "csv"
    least_violation: bool = False
    keep_interrupted: bool = False
    charts: bool = True

    def apply(self, campaign: Campaign) -> Campaign:
        """Return the campaign with these settings.

        The options that campaign.toml gives its predictor are not those of another one; a note says
        where they were left out.
        """
        config, notes = campaign.config, campaign.notes
        solve = {k: v for k in ("method", "gap", "time_limit") if (v := getattr(self, k)) is not None}
        predict = {k: v for k in ("predictor", "device") if (v := getattr(self, k)) is not None}
        own = config.predict.predictor
        if config.predict.options and predict.get("predictor", own) != own:
            predict["options"] = {}
            notes += (f"The options of [predict.options] belong to '{own}' and were left out.",)
        update: dict[str, Any] = {
            "solve": config.solve.model_copy(update=solve),
            "predict": config.predict.model_copy(update=predict),
        }
        if self.writer is not None:
            copy: dict[str, Any] = {"writer": self.writer}
            if config.copy_.options and self.writer != config.copy_.writer:
                copy["options"] = {}
                notes += (
                    f"The options of [copy.options] belong to '{config.copy_.writer}' and were left out.",
                )
            update["copy_"] = config.copy_.model_copy(update=copy)
        if self.seed is not None:
            update["seed"] = self.seed
        return replace(campaign, config=config.model_copy(update=update), notes=notes)
