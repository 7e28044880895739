"""What a job is asked to do, as it travels to a worker process, and what can be refused beforehand."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from allocator.campaign.config import Scenario, toml_finding
from allocator.errors import Finding, InputError
from allocator.files import atomically
from allocator.service.documents import REQUEST
from allocator.service.schemas.solve import CampaignWhatIf, JobWhatIf, WhatIf

SOLVE, WHATIF = "solve", "whatif"
REQUEST_FILE, RESULT_FILE = "request.json", "result.json"
FOLDER_ID = "folder-id"


@dataclass(frozen=True)
class JobRequest:
    """One job to do, as it travels to a worker process.

    Parameters
    ----------
    job_id, kind
        Its id, and `SOLVE` or `WHATIF`.
    jobs
        Folder with a folder for each job.
    campaigns
        Folder of the campaigns that callers may name.
    max_time_limit, threads
        As in `allocator.service.settings.Settings`.
    """

    job_id: str
    kind: str
    jobs: Path
    campaigns: Path | None
    max_time_limit: float
    threads: int

    @property
    def folder(self) -> Path:
        """The job's own folder."""
        return self.jobs / self.job_id


def check_time_limit(time_limit: float | None, most: float) -> None:
    """Raise InputError for a time limit that the service does not grant."""
    if time_limit is not None and time_limit > most:
        message = "this service solves no longer than that"
        raise InputError(
            Finding(message, REQUEST, None, "time_limit", f"{time_limit:g}", f"at most {most:g}")
        )


def check_whatif(request: CampaignWhatIf | JobWhatIf) -> None:
    """Raise InputError with what is wrong with a what-if whatever it is of."""
    findings = []
    if request.sweeps and len(request.scenarios) > 1:
        message = "sweeps are of the campaign or of one scenario"
        findings.append(Finding(message, REQUEST, column="scenarios", found=str(len(request.scenarios))))
    if request.floor is not None and len(request.sweeps) != 1:
        findings.append(Finding("a floor is found along one sweep", REQUEST, column="floor"))
    try:
        scenarios_of(request)
    except InputError as error:
        findings += error.findings
    if findings:
        raise InputError(findings)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    atomically(path, lambda temporary: temporary.write_bytes(content))


def folder_id(folder: Path) -> str:
    """Return what stands for a data folder, the same for all servers that share it."""
    file, fresh = folder / FOLDER_ID, folder / f".{FOLDER_ID}-{secrets.token_hex(8)}"
    if not file.exists():
        fresh.write_text(secrets.token_hex(16))
        try:
            os.link(fresh, file)  # whole at once, by whoever comes first
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            fresh.replace(file)
        fresh.unlink(missing_ok=True)
    return file.read_text()


def scenarios_of(request: WhatIf) -> list[Scenario]:
    """Return a what-if's own scenarios, or raise InputError with everything that is wrong with them."""
    scenarios, findings = [], []
    for i, table in enumerate(request.scenarios, start=1):
        try:
            scenarios.append(Scenario.model_validate(table))
        except ValidationError as error:
            details = error.errors(include_url=False)
            findings += [toml_finding(detail, REQUEST, f"scenarios[{i}]") for detail in details]
    if findings:
        raise InputError(findings)
    return scenarios
