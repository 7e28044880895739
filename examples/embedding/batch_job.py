"""A batch job for cron or Airflow: one plan for each date, made once however often the job runs.

python examples/embedding/batch_job.py CAMPAIGN_FOLDER OUT_FOLDER [--date 2026-06-01] [--scores]

The plan of a date is there as a whole or not at all: a run folder is filled beside its place, renamed last.
A job that was stopped goes on where it was, as the run folder keeps what is done. Exit codes are those of the
command line, so that a scheduler knows what helps: 0 done, 3 bad data (a retry does not help), 4 limits clash
(a person must decide), 5 out of time (a retry with more may help), 75 another job is at this date.
"""

from __future__ import annotations

import argparse
import datetime as dt
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from allocator import AllocateError, InfeasibleError, InputError, NoPlanError, run_campaign

CODES = {InputError: 3, InfeasibleError: 4, NoPlanError: 5}


def run(campaign: Path, out: Path, date: dt.date, *, scores: bool = False) -> Path:
    """Return the folder of the date's plan, which is made if it is not there yet.

    With `scores` it solves from ready scores, without training and messages.
    """
    done, work = out / f"{date}", out / f".{date}.work"
    if not done.exists():
        run_campaign(campaign, work, predict=not scores, copy=not scores)
        work.rename(done)  # in one step
    link = out / ".latest"
    link.unlink(missing_ok=True)
    link.symlink_to(done.name)
    link.rename(out / "latest")  # readers follow `latest` to a whole plan, always
    return done


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def main(arguments: list[str] | None = None) -> int:
    """Run for the date on the command line, else today."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("campaign", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--date", type=dt.date.fromisoformat, default=dt.date.today())
    parser.add_argument("--scores", action="store_true", help="solve from scores.csv alone")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    try:
        with only_one(chosen.out / f".{chosen.date}.lock"):
            print(run(chosen.campaign, chosen.out, chosen.date, scores=chosen.scores))
    except BlockingIOError:
        print(f"another job is at {chosen.date}", file=sys.stderr)
        return os.EX_TEMPFAIL
    except AllocateError as error:
        print(error, file=sys.stderr)
        return next((code for kind, code in CODES.items() if isinstance(error, kind)), 7)
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
