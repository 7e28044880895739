"""Numbers as a person writes them."""

import pytest

from allocator.wording import number, signed_number


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (5.6e-17, "0"), (-3e-12, "0"), (0.000046, "0.000046"), (-0.00123, "-0.0012"), (0.03, "0.03"),
        (0.5, "0.50"), (12, "12"), (1234.5, "1,234"), (float("inf"), ""), (None, ""),
    ],
)  # fmt: skip
def test_two_digits_that_say_something_and_no_dust(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_rounding_is_no_difference() -> None:
    assert signed_number(2e-10) == "="
    assert signed_number(-0.00002) == "-0.00002"
