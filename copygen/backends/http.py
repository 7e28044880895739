"""A model behind an OpenAI-compatible endpoint: vLLM, Ollama, a hosted service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import wait
from typing import Any

import anyio
import httpx2
from anyio.from_thread import start_blocking_portal

from allocator.errors import PluginError
from allocator.protocols import Progress
from copygen import prompts
from copygen.backends import Hook
from copygen.backends.answers import hook_line
from copygen.backends.endpoint import Endpoint, Failure
from copygen.cells import Cell
from copygen.options import HttpOptions

STEP = "write copy"
MOST_FAILURES_IN_A_ROW = 5
POLL = 0.1  # seconds between two looks at progress, and until Ctrl-C takes effect


class HttpBackend:
    """Proposes hooks by asking an endpoint; cells for which it fails are left to the bank.

    Parameters
    ----------
    options
        Which endpoint and model, and how patiently to ask.
    """

    name = "http"
    least_score = float("-inf")

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._endpoint = Endpoint(options)
        self.model = f"{options.model} at {options.base_url}"
        self._unanswered: dict[Cell, str] = {}
        self._answered = 0
        self._failures_in_a_row = 0

    @property
    def unanswered(self) -> Mapping[Cell, str]:
        """Cells that the endpoint did not answer for, and why."""
        return self._unanswered

    def prompt_digest(self, cell: Cell) -> str:
        """Return a digest of the chat and of the settings of the sampling."""
        text = json.dumps(self._body(cell), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def propose(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], progress: Progress
    ) -> list[list[Hook]]:
        """Return up to `candidates` hooks for each cell, none where the endpoint failed.

        Raises
        ------
        PluginError
            If the endpoint has never answered, or refuses its key, model or address from the start.
        """
        progress(STEP, 0, len(cells))
        found: dict[Cell, list[Hook]] = {}
        # A loop of its own, so that a caller's loop (a notebook's) is not in the way; what ends this
        # block, Ctrl-C among it, cancels every request under way.
        with start_blocking_portal() as portal:
            work = portal.start_task_soon(self._ask_all, cells, candidates, seed, found)
            while not work.done():
                wait([work], timeout=POLL)
                progress(STEP, len(found), len(cells))
            work.result()
        return [found[cell] for cell in cells]

    async def _ask_all(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], found: dict[Cell, list[Hook]]
    ) -> None:
        waiting = iter(dict.fromkeys(cells))
        hopeless: list[PluginError] = []
        async with self._endpoint.client() as client, anyio.create_task_group() as tasks:

            async def work() -> None:
                for cell in waiting:
                    try:
                        found[cell] = await self._ask(client, cell, candidates, seed)
                    except PluginError as error:
                        hopeless.append(error)
                        tasks.cancel_scope.cancel()

            for _ in range(self._options.concurrency):
                tasks.start_soon(work)
        if hopeless:
            raise hopeless[0]
        if cells and not self._answered:
            raise self._silent(next(iter(self._unanswered.values())))

    async def _ask(
        self, client: httpx2.AsyncClient, cell: Cell, candidates: int, seed: tuple[int, int]
    ) -> list[Hook]:
        if self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            self._unanswered[cell] = "the endpoint was not asked: it had failed too often in a row"
            return []
        answers: list[str] = []
        try:
            for turn in range(candidates):  # once, where the server takes `n`
                missing = candidates - len(answers)
                if not missing:
                    break
                salt = (*seed, turn)
                body = {**self._body(cell), "n": missing, "seed": cell.seed("http", *salt) >> 32}
                answers += (await self._endpoint.complete(client, body, _jitter(cell, salt)))[:missing]
        except Failure as failure:
            if not answers:
                self._note(cell, failure)
                return []
        self._answered += 1
        self._failures_in_a_row = 0
        self._unanswered.pop(cell, None)
        return [Hook(text) for text in map(hook_line, answers) if text]

    def _note(self, cell: Cell, failure: Failure) -> None:
        """Remember a failed cell.

        Raises
        ------
        PluginError
            If nothing suggests that the next one could do better.
        """
        self._unanswered[cell] = f"the endpoint failed: {failure.reason}"
        self._failures_in_a_row += 1
        if self._answered:
            return
        if failure.advice:
            address = self._options.base_url
            raise PluginError(f"The endpoint {address} answers with {failure.reason}; {failure.advice}.")
        if self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            raise self._silent(self._unanswered[cell])

    def _silent(self, reason: str) -> PluginError:
        return PluginError(
            f"No request to {self._options.base_url} was answered; {reason}. Start the endpoint or correct"
            ' base_url under [copy.options], or set writer = "template" under [copy] in campaign.toml.'
        )

    def _body(self, cell: Cell) -> dict[str, Any]:
        return {
            "model": self._options.model,
            "messages": prompts.messages(cell),
            "temperature": self._options.temperature,
            "max_tokens": self._options.max_tokens,
        }


def _jitter(cell: Cell, salt: tuple[int, ...]) -> Any:
    return lambda attempt: cell.seed("wait", *salt, attempt) / 2**63
