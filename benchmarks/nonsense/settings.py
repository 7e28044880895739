"""campaign.toml: limits that cannot be kept, numbers in another unit, names of nothing."""

from __future__ import annotations

from benchmarks.nonsense.draft import Draft, nonsense


@nonsense(r"at_most|negative|below|total")
def budget_below_nothing(draft: Draft) -> None:
    draft.set("at_most = 6", "at_most = -6")


@nonsense(r"at_most.*(finite|nan)|nan")
def budget_that_is_no_number(draft: Draft) -> None:
    draft.set("at_most = 6", "at_most = nan")


@nonsense(r"at_most")
def budget_as_text(draft: Draft) -> None:
    draft.set("at_most = 6", 'at_most = "5.000"')


@nonsense(r"at_mots")
def misspelt_key(draft: Draft) -> None:
    draft.set("at_most = 6", "at_mots = 6")


@nonsense(r"total")
def one_label_of_two_limits(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "budget"\nlabel = "total"\nat_most = 5\n'


@nonsense(r"total|nothing")
def no_budget_at_all(draft: Draft) -> None:
    draft.set("at_most = 6", "at_most = 0")


@nonsense(r"margin.*(35|less than or equal to 1|1)")
def margin_in_percent(draft: Draft) -> None:
    draft.set("margin = 0.5", "margin = 35")


@nonsense(r"margin")
def margin_of_zero(draft: Draft) -> None:
    draft.set("margin = 0.5", "margin = 0")


@nonsense(r"tolerance")
def tolerance_in_percent(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "parity"\nlabel = "fair"\nby = "region"\ntolerance = 5\n'


@nonsense(r"share|at_most")
def share_in_percent(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "share"\nlabel = "north"\nusers = { region = "north" }\nat_most = 50\n'


@nonsense(r"many.*(clash|plan)|plan.*many")
def floor_above_everyone(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "floor"\nlabel = "many"\nat_least = 1000\n'


@nonsense(r"per_head|at_least|clash|many")
def floor_of_users_as_a_share(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "floor"\nlabel = "many"\nby = "region"\nat_least = 5\nper_head = true\n'


@nonsense(r"at_least|at_most")
def bounds_that_cross(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "limit"\nlabel = "x"\nmeasure = "count"\nat_least = 9\nat_most = 3\n'


@nonsense(r"no such column")
def limit_by_no_column(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "floor"\nlabel = "each"\nby = "regoin"\nat_least = 1\n'


@nonsense(r"nroth")
def limit_of_no_group(draft: Draft) -> None:
    where = 'users = { region = "nroth" }'
    draft.toml += f'[[limits]]\nkind = "limit"\nlabel = "x"\nmeasure = "cost"\n{where}\nat_most = 3\n'


@nonsense(r"C9")
def limit_of_no_coupon(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "limit"\nlabel = "x"\nmeasure = "cost"\ncoupons = ["C9"]\nat_most = 3\n'


@nonsense(r"points")
def limit_of_no_measure(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "limit"\nlabel = "x"\nmeasure = "points"\nat_most = 3\n'


@nonsense(r"bugdet")
def limit_of_no_kind(draft: Draft) -> None:
    draft.toml += '[[limits]]\nkind = "bugdet"\nlabel = "x"\nat_most = 3\n'


@nonsense(r"as_of|date|line")
def day_of_the_decision_that_is_none(draft: Draft) -> None:
    draft.set("as_of = 2026-06-01", "as_of = 2026-02-31")


@nonsense(r"as_of|year")
def day_of_the_decision_in_another_age(draft: Draft) -> None:
    draft.set("as_of = 2026-06-01", "as_of = 0226-06-01")


@nonsense(r"time_zone")
def zone_that_is_none(draft: Draft) -> None:
    draft.set("[objective]", '[campaign]\ntime_zone = "Mars/Olympus"\n[objective]')


@nonsense(r"currency")
def currency_that_is_none(draft: Draft) -> None:
    draft.set('currency = "EUR"', 'currency = "dollars"')


@nonsense(r"schema")
def schema_of_the_future(draft: Draft) -> None:
    draft.set("schema = 1", "schema = 7")


@nonsense(r"predictor|crystal-ball")
def predictor_that_is_none(draft: Draft) -> None:
    draft.toml += '[predict]\npredictor = "crystal-ball"\n'


@nonsense(r"writer|poet")
def writer_that_is_none(draft: Draft) -> None:
    draft.set('writer = "template"', 'writer = "poet"')


@nonsense(r"languages|klingon")
def language_of_nobody(draft: Draft) -> None:
    draft.set("[copy]", '[copy]\nlanguages = ["klingon!"]')


@nonsense(r"channels|pigeon")
def channel_of_nobody(draft: Draft) -> None:
    draft.set('channels = ["email"]', 'channels = ["pigeon"]')


@nonsense(r"brand")
def brand_that_no_message_can_carry(draft: Draft) -> None:
    draft.set('brand = "Shop"', f'brand = "{"x" * 400}"')


@nonsense(r"gap")
def gap_below_nothing(draft: Draft) -> None:
    draft.toml += "[solve]\ngap = -1\n"


@nonsense(r"total_cap|scenario|no limit")
def scenario_about_nothing(draft: Draft) -> None:
    draft.toml += '[[scenarios]]\nname = "less"\nset = { "total_cap.at_most" = 3 }\n'


@nonsense(r"Foo")
def column_map_of_no_column(draft: Draft) -> None:
    draft.toml += '[columns.users]\n"Foo" = "consent_email"\n'


@nonsense(r"consentemail|consent_email")
def column_map_to_nothing(draft: Draft) -> None:
    draft.toml += '[columns.users]\n"spend" = "consentemail"\n'


@nonsense(r"nobody|max_messages|messages")
def pressure_that_leaves_out_everyone(draft: Draft) -> None:
    draft.put("users", "messages_7d", "5")
    draft.toml += "[eligibility]\nmax_messages_7d = 1\n"


@nonsense(r"sending_cost|greater")
def sending_for_less_than_nothing(draft: Draft) -> None:
    draft.set("[objective]", "[sending_cost]\nemail = -1\n[objective]")
