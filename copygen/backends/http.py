"""A model behind an OpenAI-compatible endpoint: vLLM, Ollama, a hosted service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import wait
from typing import Any

import anyio
import httpx2
from anyio.from_thread import start_blocking_portal

from allocator.errors import PluginError
from allocator.progress import Progress
from copygen import prompts
from copygen.backends.answers import hook_line
from copygen.backends.endpoint import Endpoint, Failure
from copygen.cells import Cell, Hook
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
        self._last: Failure | None = None

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
        _run(
            lambda: self._ask_all(cells, candidates, seed, found),
            lambda: progress(STEP, len(found), len(cells)),
        )
        return [found[cell] for cell in cells]

    def check(self) -> None:
        """Ask for a word, to see whether key, model and address are right.

        Raises
        ------
        PluginError
            If they are not, or the endpoint does not answer.
        """
        _run(self._check, lambda: None)

    async def _check(self) -> None:
        body = {"model": self._options.model, "messages": [{"role": "user", "content": "Say hello."}]}
        async with self._endpoint.client() as client:
            try:
                await self._endpoint.complete(client, {**body, "max_tokens": 8}, lambda _: 0.5)
            except Failure as failure:
                raise self._hopeless(failure) from None

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
        if cells and not self._answered and self._last is not None:
            raise self._hopeless(self._last)

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
        self._unanswered[cell], self._last = f"the endpoint failed: {failure.reason}", failure
        self._failures_in_a_row += 1
        if self._answered:
            return
        if failure.advice or self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            raise self._hopeless(failure)

    def _hopeless(self, failure: Failure) -> PluginError:
        address = self._options.base_url
        if failure.advice:
            return PluginError(f"The endpoint {address} answers with {failure.reason}; {failure.advice}.")
        return PluginError(
            f"No request to {address} was answered: {failure.reason}. Start the endpoint or correct base_url"
            ' under [copy.options], or set writer = "template" under [copy] in campaign.toml.'
        )

    def _body(self, cell: Cell) -> dict[str, Any]:
        return {
            "model": self._options.model,
            "messages": prompts.messages(cell),
            "temperature": self._options.temperature,
            "max_tokens": self._options.max_tokens,
        }


def _run(work: Callable[[], Awaitable[None]], look: Callable[[], None]) -> None:
    """Run `work` in a loop of its own and look at it now and then.

    A caller's loop, such as a notebook's, is not in the way; what is raised while it runs, Ctrl-C among
    it, cancels every request under way.
    """
    with start_blocking_portal() as portal:
        task = portal.start_task_soon(work)
        while not task.done():
            wait([task], timeout=POLL)
            look()
        task.result()


def _jitter(cell: Cell, salt: tuple[int, ...]) -> Callable[[int], float]:
    return lambda attempt: cell.seed("wait", *salt, attempt) / 2**63
