"""A client of `allocate serve` with nothing but the standard library: solve, decide, tell outcomes.

allocate serve                                               # in one terminal
python examples/embedding/http_client.py http://localhost:8000 [KEY]

Every call may be repeated: decisions and outcomes by their request id, solves by an Idempotency-Key. So where
the network fails or the service is full, the client simply asks again.
"""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.error
import urllib.request
from typing import Any

TRIES = 5
BUSY = (429, 502, 503, 504)  # asking again helps


class Problem(Exception):  # noqa: N818
    """What the service answered instead (RFC 9457): `document` has type, title, detail and all errors."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document.get("detail", "no detail"))
        self.document = document


class Client:
    """Talks to the service."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.headers = {"Content-Type": "application/json"}
        if key is not None:
            self.headers["Authorization"] = f"Bearer {key}"

    def solve(self, problem: dict[str, Any], name: str) -> dict[str, Any]:
        """Return the plan, at once or once its job is done; the same name gets the same plan."""
        answer = self._ask("POST", "/v1/solve", problem, {"Idempotency-Key": name})
        while answer.get("status") in ("queued", "running"):
            time.sleep(0.5)
            answer = self._ask("GET", f"/v1/jobs/{answer['id']}")
        if "result" not in answer:  # it was answered at once
            return answer
        if answer["problem"]:
            raise Problem(answer["problem"])
        return self._ask("GET", f"/v1/jobs/{answer['id']}/result")

    def decide(self, plan: str, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what each user is given."""
        answer = self._ask("POST", "/v1/decide", {"plan": plan, "requests": requests})
        return list(answer["decisions"])

    def tell(self, plan: str, outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Say what became of coupons."""
        return list(self._ask("POST", "/v1/outcomes", {"plan": plan, "outcomes": outcomes})["outcomes"])

    def standing(self, plan: str) -> list[dict[str, Any]]:
        """Return how the plan's limits stand."""
        return list(self._ask("GET", f"/v1/plans/{plan}")["rows"])

    def _ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {**self.headers, **(headers or {})}, method=method
        )
        for turn in range(1, TRIES + 1):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                if error.code not in BUSY or turn == TRIES:
                    raise Problem(json.load(error)) from None
                wait = float(error.headers.get("Retry-After", turn))
            except OSError:
                if turn == TRIES:
                    raise
                wait = 0.1 * 2**turn * random.random()
            time.sleep(wait)
        raise AssertionError("unreachable")


def main() -> int:
    """Plan for three users, then decide for two who were not among them."""
    client = Client(*sys.argv[1:3])
    problem = {
        "pairs": {
            "user_id": ["u1", "u1", "u2", "u2", "u3"],
            "coupon_id": ["TEN", "SHIP", "TEN", "SHIP", "TEN"],
            "value": [3.0, 5.0, 2.0, 4.0, 1.0],
            "cost": [1.0, 3.0, 1.0, 2.0, 1.0],
        },
        "limits": [{"kind": "budget", "label": "total", "at_most": 6}],
    }
    try:
        plan = client.solve(problem, "spring")
        print(f"plan: worth {plan['objective']:g}, {plan['assigned']} of {plan['users']} users")
        visits = [
            {"request_id": f"visit-{k}", "user_id": f"new-{k}", "value": {"TEN": 3.0, "SHIP": 4.0},
             "measures": {"cost": {"TEN": 1.0, "SHIP": 3.0}}}
            for k in range(2)
        ]  # fmt: skip
        for decision in client.decide(plan["plan"], visits):
            print(f"{decision['request_id']}: {decision['coupon_id']}, {decision['reason']}")
        for outcome in client.tell(plan["plan"], [{"request_id": "visit-0", "used": True}]):
            print(f"{outcome['request_id']}: {outcome['message']}")
        for row in client.standing(plan["plan"]):
            print(f"{row['label']}: {row['held']:g} of {row['at_most']:g} used or held")
    except Problem as problem_:
        print(problem_, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
