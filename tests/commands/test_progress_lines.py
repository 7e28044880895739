"""Progress off a terminal: a log that shows that it goes on, how fast, and for how long."""

from __future__ import annotations

import io

from cli.progress_lines import ProgressLines


def told(reports):
    """Return the lines after reports of (second, step, done, total)."""
    clock, stream = iter([0.0, *(second for second, *_ in reports)]), io.StringIO()
    report = ProgressLines(stream, lambda: next(clock))
    for _, *step in reports:
        report(*step)
    return stream.getvalue().splitlines()


def test_a_long_training_tells_its_rate_and_the_time_left_every_half_minute():
    lines = told([(second, "train", second, 720) for second in range(0, 721, 10)])
    assert lines[0] == "train ..."
    assert len(lines) == 1 + 720 // 30
    assert lines[1] == "train: 4%, 8.3% a minute, about 12 min left"
    assert lines[-2] == "train: 96%, 8.3% a minute, about 30 s left"


def test_users_are_counted_by_the_second():
    lines = told([(0, "predict", 0, 1_000_000), (40, "predict", 200_000, 1_000_000)])
    assert lines == ["predict ...", "predict: 20%, 5,000 a second, about 3 min left"]


def test_short_steps_are_a_line_each():
    assert told([(0, "a", 0, 2), (1, "a", 2, 2), (2, "b", 0, 0), (3, "b", 5, 0)]) == ["a ...", "b ..."]


def test_a_step_of_unknown_length_that_stands_still_is_told_as_it_is():
    assert told([(0, "wait", 0, 0), (31, "wait", 0, 0), (62, "wait", 0, 9)])[1:] == ["wait: 0", "wait: 0%"]
