"""Past sends: what cannot have happened, and what cannot be learnt from."""

from __future__ import annotations

from benchmarks.nonsense.draft import Draft, of_history

# Of the rows of the draft: those with a coupon and without an order, those with both, controls.
SENT, REDEEMED, CONTROL = [2], [0], [1]


@of_history(r"redeemed without an order")
def redeemed_without_an_order(draft: Draft) -> None:
    draft.put("history", "redeemed", "1", rows=SENT)


@of_history(r"with revenue, but no order")
def revenue_without_an_order(draft: Draft) -> None:
    draft.put("history", "revenue", "40", rows=SENT)


@of_history(r"discount above the revenue")
def discount_above_the_revenue(draft: Draft) -> None:
    draft.put("history", "discount", "999", rows=REDEEMED)


@of_history(r"controls that redeemed")
def control_that_redeemed(draft: Draft) -> None:
    draft.put("history", "redeemed", "1", rows=[3])


@of_history(r"discount that was not redeemed")
def discount_without_redemption(draft: Draft) -> None:
    draft.put("history", "discount", "5", rows=SENT)


@of_history(r"word for word")
def same_send_twice(draft: Draft) -> None:
    draft.add("history")


@of_history(r"several coupons at one moment")
def two_coupons_at_one_moment(draft: Draft) -> None:
    draft.add("history", coupon_id="C2")


@of_history(r"is a control at one moment")
def sent_and_control_at_one_moment(draft: Draft) -> None:
    draft.add("history", coupon_id="", redeemed="0", discount="0", propensity="0.5")


@of_history(r"after the day of the decision")
def some_sends_after_the_decision(draft: Draft) -> None:
    draft.put("history", "sent_at", "2026-09-01", rows=[4, 5])


@of_history(r"every row is after")
def all_sends_after_the_decision(draft: Draft) -> None:
    draft.put("history", "sent_at", lambda i: f"2027-03-{i % 28 + 1:02}")


@of_history(r"probability 0")
def propensity_of_zero(draft: Draft) -> None:
    draft.put("history", "propensity", "0", rows=SENT)


@of_history(r"propensit")
def propensity_of_one_for_both_arms(draft: Draft) -> None:
    draft.put("history", "propensity", "1")


@of_history(r"propensity.*1\.5|1\.5")
def propensity_above_one(draft: Draft) -> None:
    draft.put("history", "propensity", "1.5", rows=SENT)


@of_history(r"state no propensity")
def propensity_of_some(draft: Draft) -> None:
    draft.put("history", "propensity", "", rows=range(10))


@of_history(r"propensities do not fit")
def propensity_of_treatment_for_all(draft: Draft) -> None:
    draft.put("history", "propensity", lambda i: "0.05" if i % 2 else "0.95")


@of_history(r"below 0\.05")
def propensity_too_small_to_weigh_by(draft: Draft) -> None:
    draft.put("history", "propensity", "0.001", rows=SENT)


@of_history(r"unknown coupon_id.*C9")
def coupon_that_never_was(draft: Draft) -> None:
    draft.put("history", "coupon_id", "C9", rows=SENT)


@of_history(r"another case")
def coupons_in_another_case(draft: Draft) -> None:
    draft.put("history", "coupon_id", lambda i: ("c1", "", "c2", "")[i % 4])


@of_history(r"decimal point \(\.0\)")
def ids_with_a_decimal_point(draft: Draft) -> None:
    draft.put("users", "user_id", lambda i: str(i + 1))
    draft.put("history", "user_id", lambda i: f"{i + 1}.0")
    draft.put("scores", "user_id", lambda i: str(i // 2 + 1))


@of_history(r"leading zeros")
def ids_without_their_zeros(draft: Draft) -> None:
    draft.put("users", "user_id", lambda i: f"{i + 1:05}")
    draft.put("history", "user_id", lambda i: str(i + 1))
    draft.put("scores", "user_id", lambda i: f"{i // 2 + 1:05}")


@of_history(r"hardly any row")
def sends_to_strangers(draft: Draft) -> None:
    draft.put("history", "user_id", lambda i: f"stranger{i}")


@of_history(r"rows? of users that are not")
def some_sends_to_strangers(draft: Draft) -> None:
    draft.put("history", "user_id", "stranger", rows=SENT)


@of_history(r"no control rows")
def no_controls(draft: Draft) -> None:
    draft.put("history", "coupon_id", "C1")


@of_history(r"no.*coupon|treated")
def nobody_got_anything(draft: Draft) -> None:
    draft.put("history", "coupon_id", "")
    draft.put("history", "redeemed", "0")
    draft.put("history", "discount", "0")


@of_history(r"too few")
def four_sends(draft: Draft) -> None:
    del draft.tables["history"][5:]


@of_history(r"revenue.*-50")
def revenue_below_nothing(draft: Draft) -> None:
    draft.put("history", "revenue", "-50", rows=REDEEMED)


@of_history(r"sent_at.*1899")
def send_of_1899(draft: Draft) -> None:
    draft.put("history", "sent_at", "1899-12-30", rows=SENT)


@of_history(r"sent_at.*45000")
def moment_as_a_serial_number(draft: Draft) -> None:
    draft.put("history", "sent_at", "45000")


@of_history(r"sent_at.*-25:00")
def moment_of_no_zone(draft: Draft) -> None:
    draft.put("history", "sent_at", "2026-03-01T00:00:00-25:00", rows=SENT)


@of_history(r"sent_at.*25:00")
def hour_of_no_day(draft: Draft) -> None:
    draft.put("history", "sent_at", "2026-03-01 25:00", rows=SENT)


@of_history(r"converted.*2")
def ordered_twice_as_a_flag(draft: Draft) -> None:
    draft.put("history", "converted", "2", rows=REDEEMED)


@of_history(r"nobody.*order")
def nobody_ever_ordered(draft: Draft) -> None:
    for column in ("converted", "redeemed", "revenue", "discount"):
        draft.put("history", column, "0")


@of_history(r"everybody.*order|every row.*order")
def everybody_always_ordered(draft: Draft) -> None:
    draft.put("history", "converted", "1")
    draft.put("history", "revenue", "50")


@of_history(r"names no coupon")
def treated_with_nothing(draft: Draft) -> None:
    draft.put("history", "treated", lambda i: "1" if i in (0, 1, 2) else str(int(i % 2 == 0)))


@of_history(r"revenue.*1e300|1e300")
def revenue_beyond_reason(draft: Draft) -> None:
    draft.put("history", "revenue", "1e300", rows=REDEEMED)
