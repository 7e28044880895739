"""Coupons: terms that no shop gives, or that no till can tell apart."""

from __future__ import annotations

from benchmarks.nonsense.draft import Draft, nonsense

FIRST, SECOND = [0], [1]


@nonsense(r"max_discount.*(above 0|cannot be used)")
def cap_of_zero(draft: Draft) -> None:
    draft.put("coupons", "max_discount", "0.00", rows=FIRST)


@nonsense(r"inventory.*9223372036854775807")
def stock_of_all_the_integers(draft: Draft) -> None:
    draft.put("coupons", "inventory", "9223372036854775807")


@nonsense(r"inventory.*1e30")
def stock_beyond_counting(draft: Draft) -> None:
    draft.put("coupons", "inventory", "1e30")


@nonsense(r"inventory.*inf")
def endless_stock(draft: Draft) -> None:
    draft.put("coupons", "inventory", "inf")


@nonsense(r"inventory.*-1")
def stock_below_nothing(draft: Draft) -> None:
    draft.put("coupons", "inventory", "-1")


@nonsense(r"inventory.*2\.5")
def half_a_coupon_in_stock(draft: Draft) -> None:
    draft.put("coupons", "inventory", "2.5")


@nonsense(r"inventory is 0 for every coupon")
def no_stock_of_anything(draft: Draft) -> None:
    draft.put("coupons", "inventory", "0")


@nonsense(r"inventory is 0, so that nobody")
def no_stock_of_one(draft: Draft) -> None:
    draft.put("coupons", "inventory", "0", rows=FIRST)


@nonsense(r"0 is read as no limit")
def use_limit_of_zero_by_another_tool(draft: Draft) -> None:
    draft.put("coupons", "usageLimit", "0")


@nonsense(r"less than 1 percent")
def percent_as_a_fraction(draft: Draft) -> None:
    draft.put("coupons", "value", "0.2", rows=FIRST)


@nonsense(r"more than 100 percent")
def more_than_all_of_it(draft: Draft) -> None:
    draft.put("coupons", "value", "120", rows=FIRST)


@nonsense(r"more than 95 percent")
def nearly_all_of_it(draft: Draft) -> None:
    draft.put("coupons", "value", "99", rows=FIRST)


@nonsense(r"value.*-5")
def discount_below_nothing(draft: Draft) -> None:
    draft.put("coupons", "value", "-5", rows=SECOND)


@nonsense(r"nothing is taken off|cannot state this discount")
def discount_of_nothing(draft: Draft) -> None:
    draft.put("coupons", "value", "0", rows=SECOND)


@nonsense(r"never matters")
def cap_above_the_amount(draft: Draft) -> None:
    draft.put("coupons", "max_discount", "50", rows=SECOND)


@nonsense(r"least basket")
def minimum_below_the_discount(draft: Draft) -> None:
    draft.put("coupons", "min_spend", "1", rows=SECOND)


@nonsense(r"ends_at.*31/02/2026")
def last_day_of_february_and_three(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "31/02/2026")


@nonsense(r"ends before it starts")
def expiry_before_the_start(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "2026-01-01", rows=FIRST)


@nonsense(r"has expired")
def expired_long_ago(draft: Draft) -> None:
    draft.put("coupons", "starts_at", "2019-01-01", rows=FIRST)
    draft.put("coupons", "ends_at", "2020-01-01", rows=FIRST)


@nonsense(r"after the day of the decision")
def start_after_the_decision(draft: Draft) -> None:
    draft.put("coupons", "starts_at", "2026-08-01", rows=FIRST)


@nonsense(r"ends_at.*2226")
def two_centuries_from_now(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "2226-12-31")


@nonsense(r"ends_at.*\+99:99")
def offset_of_no_zone(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "2026-12-31T00:00:00+99:99")


@nonsense(r"last whole day")
def end_at_an_hour(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "2026-12-31T04:00:00Z")


@nonsense(r"day.*month|no row says")
def day_or_month_first(draft: Draft) -> None:
    draft.put("coupons", "starts_at", "03/04/2026")
    draft.put("coupons", "ends_at", "05/06/2026")


@nonsense(r"ends_at")
def two_orders_of_day_and_month(draft: Draft) -> None:
    draft.put("coupons", "ends_at", ["12/31/2026", "31/12/2026"])


@nonsense(r"ends_at.*46387")
def day_as_a_serial_number(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "46387")


@nonsense(r"ends_at.*1798675200")
def day_as_seconds_since_1970(draft: Draft) -> None:
    draft.put("coupons", "ends_at", "1798675200")


@nonsense(r"the till cannot tell them apart")
def one_code_of_two_offers(draft: Draft) -> None:
    draft.put("coupons", "code", ["SAVE", "save"])


@nonsense(r"whose redemption it was cannot be told")
def one_code_of_two_alike(draft: Draft) -> None:
    draft.add("coupons", coupon_id="C9")


@nonsense(r"kind.*bogof")
def kind_that_is_none(draft: Draft) -> None:
    draft.put("coupons", "kind", "bogof", rows=FIRST)


@nonsense(r"another currency")
def currency_of_another_campaign(draft: Draft) -> None:
    draft.put("coupons", "currency", "USD")


@nonsense(r"another currency|currenc")
def pounds_in_a_campaign_of_euros(draft: Draft) -> None:
    draft.put("coupons", "min_spend", "£25", rows=SECOND)


@nonsense(r"percent")
def percent_sign_at_an_amount(draft: Draft) -> None:
    draft.put("coupons", "value", ["10%", "5%"])


@nonsense(r"€|percent|currenc")
def euro_sign_at_a_percentage(draft: Draft) -> None:
    draft.put("coupons", "value", ["€10", "€5"])


@nonsense(r"occurs twice")
def coupon_twice(draft: Draft) -> None:
    draft.add("coupons")


@nonsense(r"spellings that differ at most in case")
def coupons_that_differ_in_case(draft: Draft) -> None:
    draft.add("coupons", coupon_id="c1", code="OTHER")


@nonsense(r"channel.*fax")
def channel_that_is_none(draft: Draft) -> None:
    draft.put("coupons", "channel", "fax")


@nonsense(r"code cannot be printed.*2026-03-10")
def code_that_became_a_date(draft: Draft) -> None:
    draft.put("coupons", "code", "2026-03-10 00:00:00", rows=FIRST)


@nonsense(r"formula|code")
def code_that_is_a_formula(draft: Draft) -> None:
    draft.put("coupons", "code", '=HYPERLINK("http://x.example","TEN")', rows=FIRST)


@nonsense(r"code.*spreadsheet|rounded|E\+")
def code_in_scientific_notation(draft: Draft) -> None:
    draft.put("coupons", "code", "1.23457E+11", rows=FIRST)


@nonsense(r"value.*nan|nan.*value")
def value_that_is_no_number(draft: Draft) -> None:
    draft.put("coupons", "value", "nan", rows=FIRST)


@nonsense(r"max_discont.*max_discount")
def misspelt_column(draft: Draft) -> None:
    draft.rename("coupons", "max_discount", "max_discont")


@nonsense(r"value|kind")
def kinds_left_empty(draft: Draft) -> None:
    draft.put("coupons", "kind", "")


@nonsense(r"no coupon is active")
def nothing_is_active(draft: Draft) -> None:
    draft.put("coupons", "active", "0")


@nonsense(r"per_user_limit is 0|per_user_limit")
def nobody_may_use_it(draft: Draft) -> None:
    draft.put("coupons", "per_user_limit", "0", rows=FIRST)
