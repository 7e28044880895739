"""Users: who they are, and who of them may be written to."""

from __future__ import annotations

from benchmarks.nonsense.draft import USERS, Draft, nonsense


@nonsense(r"HasOptedOutOfEmail.*may not")
def opt_out_of_everyone_under_a_strange_name(draft: Draft) -> None:
    draft.drop("users", "consent_email")
    draft.put("users", "HasOptedOutOfEmail", "1")


@nonsense(r"Do Not Contact.*may not")
def opt_out_of_some_under_a_strange_name(draft: Draft) -> None:
    draft.drop("users", "consent_email")
    draft.put("users", "Do Not Contact", lambda i: "Y" if i % 2 else "N")


@nonsense(r"legacy_optin_flag")
def consent_cells_that_say_nothing(draft: Draft) -> None:
    draft.put("users", "legacy_optin_flag", lambda i: f"S{i % 5}")


@nonsense(r"consent_email.*maybe")
def consent_that_is_a_maybe(draft: Draft) -> None:
    draft.put("users", "consent_email", "maybe", rows=[3])


@nonsense(r"Subscription Status.*(cleaned|unsubscribed)")
def statuses_of_a_mailing_tool(draft: Draft) -> None:
    draft.drop("users", "consent_email")
    draft.put("users", "Subscription Status", lambda i: ("subscribed", "unsubscribed", "cleaned")[i % 3])


@nonsense(r"contradict|may not")
def two_columns_that_contradict_each_other(draft: Draft) -> None:
    draft.put("users", "unsubscribed", "yes")


@nonsense(r"says who consents to email|nobody")
def consent_to_another_channel_only(draft: Draft) -> None:
    draft.rename("users", "consent_email", "consent_sms")


@nonsense(r"no column of the users says who may be written to")
def no_word_of_consent(draft: Draft) -> None:
    draft.drop("users", "consent_email")


@nonsense(r"Global Control Group.*held out|held out.*Global Control Group|control group")
def control_group_under_a_strange_name(draft: Draft) -> None:
    draft.put("users", "Global Control Group", lambda i: str(int(i < 8)))


@nonsense(r"Blacklist.*may not")
def suppression_list_as_a_column(draft: Draft) -> None:
    draft.put("users", "Blacklist", lambda i: "x" if i < 5 else "")


@nonsense(r"cookie_consent")
def consent_to_something_else(draft: Draft) -> None:
    draft.put("users", "cookie_consent", lambda i: str(i % 2))


@nonsense(r"nobody may")
def everyone_held_out(draft: Draft) -> None:
    draft.put("users", "holdout", "1")


@nonsense(r"holdout.*maybe")
def holdout_that_is_a_maybe(draft: Draft) -> None:
    draft.put("users", "holdout", lambda i: "maybe" if i == 5 else "0")


@nonsense(r"two columns have this name", text_only=True)
def duplicate_header(draft: Draft) -> None:
    draft.put("users", "extra", "1")
    draft.rename("users", "extra", "region")


@nonsense(r"a column has no name", text_only=True)
def header_without_a_name(draft: Draft) -> None:
    draft.put("users", "extra", "1")
    draft.rename("users", "extra", "")


@nonsense(r"formula")
def header_that_is_a_formula(draft: Draft) -> None:
    draft.rename("users", "region", "=cmd|' /C calc'!A0")


@nonsense(r"occurs twice")
def user_twice(draft: Draft) -> None:
    draft.add("users")


@nonsense(r"spellings that differ at most in case")
def users_that_differ_in_case(draft: Draft) -> None:
    draft.add("users", user_id="U00")


@nonsense(r"email: one in several rows.*u00")
def email_twice_in_two_spellings(draft: Draft) -> None:
    draft.put("users", "email", lambda i: f"p{i}@example.com")
    draft.put("users", "email", ["ann@example.com", "Ann@Example.com"], rows=[0, 1])


@nonsense(r"required|value in every row|empty")
def user_without_an_id(draft: Draft) -> None:
    draft.add("users", user_id="")


@nonsense(r"control characters")
def bell_in_an_id(draft: Draft) -> None:
    draft.add("users", user_id="u9\x07")


@nonsense(r"line of totals")
def total_line_at_the_end(draft: Draft) -> None:
    draft.tables["users"].append(["Total", "", "576", ""])


@nonsense(r"repeats the header")
def header_in_the_middle(draft: Draft) -> None:
    draft.tables["users"].insert(9, list(draft.tables["users"][0]))


@nonsense(r"spreadsheet|scientific|rounded")
def ids_in_scientific_notation(draft: Draft) -> None:
    draft.put("users", "user_id", lambda i: f"1.23{i:03}E+12")
    draft.put("scores", "user_id", lambda i: f"1.23{i // 2:03}E+12")


@nonsense(r"messages_7d.*1e30")
def messages_beyond_counting(draft: Draft) -> None:
    draft.put("users", "messages_7d", lambda i: "1e30" if i == 2 else "0")


@nonsense(r"messages_7d")
def half_a_message(draft: Draft) -> None:
    draft.put("users", "messages_7d", "0.5")


@nonsense(r"staff, VIP")
def several_labels_in_a_cell(draft: Draft) -> None:
    draft.put("users", "tags", lambda i: ("staff", "staff, VIP", "loyal")[i % 3])
    draft.toml += '[[limits]]\nkind = "exclude"\nlabel = "no staff"\nusers = { tags = "staff" }\n'


@nonsense(r"look alike|composed|form")
def labels_that_look_alike(draft: Draft) -> None:
    draft.put("users", "city", lambda i: ("Zu\u0308rich", "Z\u00fcrich")[i % 2])
    draft.toml += '[[limits]]\nkind = "floor"\nlabel = "each"\nby = "city"\nat_least = 0\n'


@nonsense(r"read as labels")
def store_numbers_with_zeros(draft: Draft) -> None:
    draft.put("users", "store", lambda i: ("01234", "1234")[i % 2])


@nonsense(r"spend.*(number|finite)|number.*spend")
def one_spend_that_is_text(draft: Draft) -> None:
    draft.put("users", "spend", "twelve", rows=[7])


@nonsense(r"#N/A")
def error_of_a_spreadsheet(draft: Draft) -> None:
    draft.put("users", "spend", "#N/A", rows=[7])


@nonsense(r"finite")
def endless_spend(draft: Draft) -> None:
    draft.put("users", "spend", "inf", rows=[7])


@nonsense(r"two ways")
def mixed_decimal_marks(draft: Draft) -> None:
    draft.put("users", "spend", lambda i: "1.234,50" if i % 2 else "1,234.50")


@nonsense(r"no row says which")
def thousands_or_decimals(draft: Draft) -> None:
    draft.put("users", "spend", lambda i: f"1.{234 + i}")


@nonsense(r"percent sign")
def percent_signs_in_some_rows(draft: Draft) -> None:
    draft.put("users", "rate", lambda i: "10%" if i < USERS - 1 else "0.1")


@nonsense(r"more than one currency|currenc")
def two_currencies_in_a_column(draft: Draft) -> None:
    draft.put("users", "spend", lambda i: f"{'€' if i % 2 else '£'}{i + 10}.50")


@nonsense(r"locale")
def language_that_is_none(draft: Draft) -> None:
    draft.put("users", "locale", "martian_42!")


@nonsense(r"user_id.*(missing|several|may be)")
def no_column_of_ids(draft: Draft) -> None:
    draft.rename("users", "user_id", "name of the person")
