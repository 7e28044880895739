"""Words from customers' rows that no message may hold, such as names."""

from __future__ import annotations

import re

import polars as pl

from allocator.campaign.campaign import Campaign

SHARED_BY = 20  # customers; what fewer share may tell who somebody is
LONGEST = 20  # characters; no hook has room for a longer word
LATIN, HAN = r"[\p{L}--\p{Han}]{2,}", r"\p{Han}{2,}"
PERSONAL = re.compile(
    r"(?:^|_)(?:(?:first|last|full|given|family|middle|nick|user|sur|fore|maiden|customer|contact|display)_?)?name$"
    r"|(?:^|_)(?:surname|e_?mail|phone|mobile|telephone|tel|address|street|birthday|birthdate|dob|passport|iban)"
    r"(?:_|$)|姓|名字|昵称|手机|手機|电话|電話|邮箱|郵箱|邮件|地址|住址|生日|身份证|微信"
)
# Words of every sentence, whatever free text says of a customer.
COMMON = frozenset(
    "a an the and or but nor for of to in on at by from with without as is are be was were it its this that"  # noqa: SIM905
    " these those you your yours we our us my me i he she they them his her who what when where how if so not"
    " no yes all any some more most new old one two do does did has have had will can may get go up out off"
    " over under into".split()
)


def private_words(campaign: Campaign) -> frozenset[str]:
    """Return the words of customers' text columns that are personal or that few customers share.

    Words come as they are written and with a capital. Columns under ``may_mention`` and the one that
    messages are segmented by are left out, and so are words of the coupons' categories.
    """
    table, users = campaign.config.copy_, campaign.users
    open_columns = {"locale", table.segment_by, *table.may_mention}
    found = [
        _words(users[name], personal=bool(PERSONAL.search(name.casefold())))
        for name, dtype in users.schema.items()
        if dtype == pl.String and name not in open_columns
    ]
    words = pl.concat(found).unique() if found else pl.Series(dtype=pl.String)
    known = COMMON | _known(campaign)
    words = words.filter(~words.str.to_lowercase().is_in(sorted(known)))
    return frozenset(pl.concat([words, words.str.to_titlecase()]).unique().to_list())


def _words(column: pl.Series, *, personal: bool) -> pl.Series:
    text = column.drop_nulls()
    if column.name == "user_id":  # a name or an address, not a number with letters in it
        text = text.filter(~text.str.contains(r"\d") | text.str.contains("@", literal=True))
    values = text.alias("text").value_counts()
    words = values.select(
        pl.col("text").str.extract_all(f"{LATIN}|{HAN}").list.unique().alias("word"), "count"
    ).explode("word", empty_as_null=False)
    words = words.filter(pl.col("word").str.len_chars() <= LONGEST)
    if not personal:
        words = words.group_by("word").agg(pl.col("count").sum()).filter(pl.col("count") < SHARED_BY)
    return words["word"].unique()


def _known(campaign: Campaign) -> set[str]:
    labels = campaign.coupons["category"].drop_nulls()
    return {word.lower() for label in labels.unique() for word in re.findall(r"[^\W\d_]+", label)}
