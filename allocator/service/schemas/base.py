"""What all models of the service share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Number = Annotated[float, Field(allow_inf_nan=False)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""What callers name things by; without control characters, which databases and terminals obey."""


class Body(BaseModel):
    """A body, or a part of one; a key it does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def stating(*examples: Any) -> ConfigDict:
    """Return the settings of a model that states examples."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})
