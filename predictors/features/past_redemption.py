"""Past redemption: what a user did with earlier coupons, as far as it was known by then."""

from __future__ import annotations

import numpy as np
import polars as pl

from predictors.features.timeline import DAY, Floats, Ints, Timeline, running, seconds

OUTCOME_DAYS = 30
"""An outcome counts from so many days after its send: by then most coupons have run out."""
WINDOW = 180


class PastSends:
    """Coupons sent earlier, by user.

    Parameters
    ----------
    table
        Treated rows of ``history``, sorted by user and time, with `user`, the user's position.
    """

    def __init__(self, table: pl.DataFrame) -> None:
        self._timeline = Timeline(table["user"].to_numpy().astype(np.int64), seconds(table["sent_at"]))
        redeemed = table["redeemed"].fill_null(False).to_numpy().astype(bool)
        self._redeemed = running(redeemed)
        # The latest redeemed send among the first 0, 1, ..., n; -1 for none.
        self._latest = np.maximum.accumulate(np.r_[-1, np.where(redeemed, np.arange(len(redeemed)), -1)])

    def features(self, user: Ints, time: Ints) -> dict[str, Floats]:
        """Return figures of the sends before `time`, each (n,); NaN where there was none.

        A send counts from the moment after it; whether it was redeemed, from `OUTCOME_DAYS` later.
        """
        sends = self._timeline
        first, end = sends.first(user), sends.before(user, time)
        settled = sends.before(user, time - OUTCOME_DAYS * DAY)
        known = settled - first
        share = (self._redeemed[settled] - self._redeemed[first]) / np.maximum(known, 1)
        recent = end - sends.before(user, time - WINDOW * DAY)
        return {
            f"sends.count_{WINDOW}d": np.log1p(recent),
            "sends.redeemed_share": np.where(known > 0, share, np.nan),
            "sends.days_since_send": sends.log_days_since(end - 1, first, time),
            "sends.days_since_redemption": sends.log_days_since(self._latest[settled], first, time),
        }
