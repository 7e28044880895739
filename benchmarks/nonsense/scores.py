"""Ready predictions, and tables of behaviour."""

from __future__ import annotations

from benchmarks.nonsense.draft import Draft, nonsense


@nonsense(r"value.*nan|nan")
def value_not_a_number(draft: Draft) -> None:
    draft.put("scores", "value", "nan", rows=[3])


@nonsense(r"value.*inf|inf")
def endless_value(draft: Draft) -> None:
    draft.put("scores", "value", "inf", rows=[3])


@nonsense(r"cost.*-1")
def cost_below_nothing(draft: Draft) -> None:
    draft.put("scores", "cost", "-1", rows=[3])


@nonsense(r"occurs twice")
def pair_twice(draft: Draft) -> None:
    draft.add("scores")


@nonsense(r"unknown user_id")
def score_of_a_stranger(draft: Draft) -> None:
    draft.add("scores", user_id="stranger")


@nonsense(r"unknown coupon_id")
def score_of_no_coupon(draft: Draft) -> None:
    draft.add("scores", coupon_id="C9")


@nonsense(r"another case")
def scores_by_ids_in_capitals(draft: Draft) -> None:
    draft.put("scores", "user_id", lambda i: f"U{i // 2:02}")


@nonsense(r"cost")
def scores_without_costs(draft: Draft) -> None:
    draft.drop("scores", "cost")


@nonsense(r"cost.*(0|nothing)|free")
def everything_is_free(draft: Draft) -> None:
    draft.put("scores", "cost", "0")


@nonsense(r"value.*beyond")
def value_beyond_reason(draft: Draft) -> None:
    draft.put("scores", "value", "1e300", rows=[3])


@nonsense(r"no.*(value|worth|earn)|nothing")
def nothing_is_worth_anything(draft: Draft) -> None:
    draft.put("scores", "value", "-1")


@nonsense(r"count")
def measure_with_a_name_of_ours(draft: Draft) -> None:
    draft.put("scores", "count", "1")


@nonsense(r"kind.*danced")
def event_of_no_kind(draft: Draft) -> None:
    draft.tables["events"] = [["user_id", "at", "kind"], ["u01", "2026-03-01", "danced"]]


@nonsense(r"every row is after")
def orders_of_the_future(draft: Draft) -> None:
    draft.tables["orders"] = [["user_id", "at", "amount"], ["u01", "2027-03-01", "5"]]


@nonsense(r"purchases are not used")
def purchases_told_twice(draft: Draft) -> None:
    draft.tables["orders"] = [["user_id", "at", "amount"], ["u01", "2026-03-01", "5"]]
    draft.tables["events"] = [["user_id", "at", "kind", "amount"], ["u01", "2026-03-01", "purchase", "5"]]


@nonsense(r"hardly any row")
def orders_of_strangers(draft: Draft) -> None:
    rows = [[f"stranger{i}", "2026-03-01", "5"] for i in range(30)]
    draft.tables["orders"] = [["user_id", "at", "amount"], *rows]
