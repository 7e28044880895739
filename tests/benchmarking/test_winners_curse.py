"""Plans on noisy estimates promise what they cannot keep; on shrunken ones they keep it and earn more."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.winners_curse import SETTINGS, averages, draw, judge, shrunken

NOISY = next(setting for setting in SETTINGS if setting.name == "noise 2 x signal")


@pytest.fixture(scope="module")
def found():
    return averages([judge(draw(NOISY, 3_000, seed), gap=1e-3) for seed in range(5)])


def test_a_naive_plan_promises_more_than_it_realises(found):
    promised, realised = found["naive promised"], found["naive realised"]
    assert promised[0] > 1.5
    assert realised[0] < 0.75


def test_a_shrunken_plan_realises_what_it_promises(found):
    (promised, off), (realised, error) = found["shrunken promised"], found["shrunken realised"]
    assert promised == pytest.approx(realised, abs=3 * np.hypot(off, error))


def test_shrinkage_wins_back_what_the_curse_costs_and_pessimism_alone_does_not(found):
    gain, error = found["shrunken gain"]
    assert gain > 3 * error > 0
    assert found["one slope gain"][0] > 0
    for wary in ("pessimistic", "shrunken, pessimistic"):
        assert found["shrunken gain"][0] > found[f"{wary} gain"][0]


def test_no_plan_beats_the_oracle(found):
    assert found["oracle promised"][0] == pytest.approx(1.0)
    assert max(found[key][0] for key in found if key.endswith("realised")) == found["oracle realised"][0]


def test_a_posterior_covers_the_truth_as_often_as_it_says():
    world = draw(NOISY, 20_000, 1)
    mean, deviation = shrunken(world)
    for z, share in ((0.8416, 0.8), (1.6449, 0.95)):
        assert (world.truth > mean - z * deviation).mean() == pytest.approx(share, abs=0.01)
