"""Who the reader is, or how to reach somebody: nothing of it belongs into a message."""

from __future__ import annotations

import re
from collections.abc import Iterator

from allocator.plugins.copy import Verdict

# Whom a greeting may name: nobody in particular.
NOBODY = (
    "(?:there|all|everyone|everybody|friends?|customers?|members?|shoppers?|guests?|valued|you|again|and|to|from|"
    "foodies?|sunshine|spring|summer|autumn|winter|morning|weekend)"
)
GREETING = (
    "(?:Hi|Hello|Hey|Hiya|Greetings|Good (?:morning|evening|afternoon)|Thanks?(?: you)?|Happy [Bb]irthday)"
)
SALUTATION = re.compile(
    rf"(?<![A-Za-z])(?:(?i:dear) +(?!(?i:{NOBODY})(?![A-Za-z]))[A-Za-z]"
    rf"|{GREETING},? +(?!(?i:{NOBODY})(?![A-Za-z]))[A-Z][\w'-]*"
    rf"|(?:Mr|Mrs|Ms|Miss|Dr|Prof|Sir|Madam)\.? +[A-Z])"
)
CHINESE_SALUTATION = re.compile(
    "(?:亲爱的|親愛的|尊敬的|敬爱的)(?!您|你|顾客|顧客|客户|客戶|会员|會員|朋友|用户|用戶|家人|大家|各位|伙伴|$)[\u4e00-\u9fff]"
    "|[\u4e00-\u9fff]{1,3}(?:先生|女士|小姐|太太|同学|老师|总|哥|姐)(?:您|你|，|,|：|:|！|!|好)|[小老阿][\u4e00-\u9fff](?:您好|你好)"
)
PHONE = re.compile(r"(?<![\w.,])\+?\(?\d[\d ().-]{5,}\d(?!\w)")
IDENTITY = re.compile(
    r"(?<!\d)\d{17}[\dXx](?!\d)|(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)|(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"
)
STREET = re.compile(
    r"(?<!\d)\d{1,5}[A-Za-z]? (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Way|Close"
    r"|Court|Square|Boulevard|Blvd|Place)(?![a-z])"
    r"|[\u4e00-\u9fff]{2,}(?:路|街|巷|弄)\s*\d+\s*[号號弄]|\d+\s*[栋棟]\s*\d+\s*[室楼樓]"
)


def check_personal(text: str, part: str) -> Iterator[Verdict]:
    """Yield a greeting by name, a phone number, a number of a person or a card, a street address."""
    for what, pattern in (
        ("greets somebody by name", SALUTATION),
        ("greets somebody by name", CHINESE_SALUTATION),
        ("holds the number of a person or a card", IDENTITY),
        ("holds a phone number", PHONE),
        ("holds an address", STREET),
    ):
        match = pattern.search(text)
        if match:
            yield Verdict("personal", f"{part} {what}: '{match[0][:30]}'")
            return


def private_words(hook: str, private: frozenset[str]) -> Iterator[Verdict]:
    """Yield a verdict if a hook holds a word from a customer's row.

    Words in Latin letters count in their own case and whole; Chinese ones anywhere.
    """
    if not private:
        return
    words = {word for chunk in re.findall(r"[^\W_][\w'’-]*", hook) for word in _spellings(chunk)}
    runs = (
        {hook[i:j] for i in range(len(hook)) for j in range(i + 1, len(hook) + 1)} if _is_han(hook) else set()
    )
    names = {" ".join(pair) for pair in _neighbours(hook)}
    if not private.isdisjoint(words | runs | names):
        yield Verdict("personal", "the hook holds a word from a customer's row")


def _spellings(word: str) -> set[str]:
    """Return a word as it stands, without a possessive, and its parts."""
    bare = re.sub("['’]s?$", "", word)
    return {word, bare, *re.split(r"[-'’]", word)}


def _neighbours(hook: str) -> list[tuple[str, ...]]:
    words = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", hook)
    return [tuple(words[i : i + n]) for n in (2, 3, 4) for i in range(len(words) - n + 1)]


def _is_han(text: str) -> bool:
    return any("\u3400" <= c <= "\u9fff" for c in text)
