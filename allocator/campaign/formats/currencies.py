"""Which currencies a sign beside a number may mean."""

from __future__ import annotations

from functools import cache

# Regions whose signs are looked up: those of the largest currencies, at home and in English.
REGIONS = (
    "en", "en_GB", "en_CA", "en_AU", "en_NZ", "en_SG", "en_HK", "en_IN", "en_ZA", "de", "de_CH", "fr",
    "fr_CH", "es_MX", "es_CO", "es_CL", "es_AR", "pt_BR", "zh", "zh_Hant_TW", "ja", "ko", "th", "vi", "id",
    "ms", "fil", "hi", "ru", "uk", "pl", "cs", "hu", "ro", "bg", "tr", "sv", "da", "nb", "is", "he",
    "ar_AE", "ar_SA",
)  # fmt: skip
ALSO = {
    "元": "CNY", "RMB": "CNY", "円": "JPY", "원": "KRW", "RS": "INR", "TL": "TRY", "руб": "RUB", "грн": "UAH",
}  # fmt: skip


def currencies_of(sign: str) -> frozenset[str]:
    """Return the codes of the currencies that a sign may mean; none if it is no currency's.

    Parameters
    ----------
    sign
        A symbol such as ``€``, ``R$`` or ``kr``, or a code such as ``EUR``.
    """
    return _signs().get(sign.strip().rstrip(".").upper(), frozenset())


@cache
def _signs() -> dict[str, frozenset[str]]:
    from babel import Locale

    found: dict[str, set[str]] = {}

    def add(sign: str, code: str) -> None:
        found.setdefault(sign.strip().rstrip(".").upper(), set()).add(code)

    for region in REGIONS:
        for code, sign in Locale.parse(region).currency_symbols.items():
            add(code, code)
            if len(sign) <= 5:
                add(sign, code)
            if sign.endswith("$"):  # HK$ is written $ at home
                add("$", code)
    for sign, code in ALSO.items():
        add(sign, code)
    return {sign: frozenset(codes) for sign, codes in found.items()}
