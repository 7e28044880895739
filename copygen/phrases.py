"""The words around the facts, by channel and by language or script; ``[slots]`` are filled by `template`."""

from __future__ import annotations

from collections.abc import Mapping

OFFER = {
    "en": {"percent": "[off][on]", "amount": "[off] off[on]", "free_shipping": "Free shipping[on]"},
    "zh": {"percent": "[of][off]", "amount": "[of]立减[off]", "free_shipping": "[of]免运费"},
    "zh-Hant": {"percent": "[of][off]", "amount": "[of]立減[off]", "free_shipping": "[of]免運費"},
}

# What follows the offer in one line: minimum, cap and code.
TERMS = {
    "en": "[offer]< on orders of [minimum] or more><, up to [cap] off>.< Code: [code].>",
    "zh": "[offer]<，满[minimum]可用><，最高减[cap]><，优惠码：[code]>",
    "zh-Hant": "[offer]<，滿[minimum]可用><，最高減[cap]><，優惠碼：[code]>",
}
SHORT = {
    "en": {"title": "[headline]", "body": TERMS["en"]},
    "zh": {"title": "[headline]", "body": TERMS["zh"]},
    "zh-Hant": {"title": "[headline]", "body": TERMS["zh-Hant"]},
}
UNTIL = {"en": "< Valid [{}].>", "zh": "<，[{}]>。", "zh-Hant": "<，[{}]>。"}


def _short(language: str, dates: str) -> dict[str, str]:
    return {**SHORT[language], "body": TERMS[language] + UNTIL[language].replace("{}", dates)}


PARTS: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("sms", "en"): {"body": "[sender]<[sentence] >" + TERMS["en"] + "< Valid [period].> [notice]"},
    ("sms", "zh"): {"body": "[sender]<[sentence]>" + TERMS["zh"] + "<，[period]>。[notice]"},
    ("sms", "zh-Hant"): {"body": "[sender]<[sentence]>" + TERMS["zh-Hant"] + "<，[period]>。[notice]"},
    **{("push", language): _short(language, "deadline") for language in OFFER},
    **{("in_app", language): _short(language, "period") for language in OFFER},
    ("email", "en"): {
        "subject": "[mark][headline]",
        "preheader": "[offer]< on orders of [minimum] or more><, valid [deadline]>.",
        "body": "Hello,\n\n<[sentence]\n\n>Here is your offer from [brand]:\n\n"
        "Offer: [offer]<\nMinimum spend: [minimum]><\nMaximum discount: [cap]><\nCode: [code]>"
        "<\nValid: [period]>\n\n[brand]\n[notice]",
    },
    ("email", "zh"): {
        "subject": "[mark][headline]",
        "preheader": "[offer]<，满[minimum]可用><，[deadline]>。",
        "body": "您好：\n\n<[sentence]\n\n>[brand]为您准备了以下优惠：\n\n"
        "优惠：[offer]<\n使用门槛：满[minimum]><\n优惠上限：[cap]><\n优惠码：[code]><\n[period]>\n\n"
        "[brand]\n[notice]",
    },
    ("email", "zh-Hant"): {
        "subject": "[mark][headline]",
        "preheader": "[offer]<，滿[minimum]可用><，[deadline]>。",
        "body": "您好：\n\n<[sentence]\n\n>[brand]為您準備了以下優惠：\n\n"
        "優惠：[offer]<\n使用門檻：滿[minimum]><\n優惠上限：[cap]><\n優惠碼：[code]><\n[period]>\n\n"
        "[brand]\n[notice]",
    },
}

# How to stop further messages, where the brief does not say: for a country, else for the language.
NOTICES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("sms", "en"): {"": "Reply STOP to opt out", "CN": "Reply R to opt out"},
    ("sms", "zh"): {"": "回复STOP退订", "CN": "拒收请回复R"},
    ("sms", "zh-Hant"): {"": "回覆STOP取消訂閱", "CN": "拒收請回覆R"},
    ("email", "en"): {"": "You can unsubscribe from these e-mails at any time."},
    ("email", "zh"): {"": "如不想再收到此类邮件，可随时退订。"},
    ("email", "zh-Hant"): {"": "如不想再收到此類郵件，可隨時取消訂閱。"},
}
FULL_STOP = {"en": ".", "zh": "。", "zh-Hant": "。"}
# How a Chinese SMS is signed, and how any other; what an advertisement's subject starts with in China.
CHINESE_SIGNATURE = "【[brand]】"
SIGNATURE = {"en": "[brand]: ", "zh": "[brand]：", "zh-Hant": "[brand]："}
ADVERTISING_MARK = {"en": "AD | ", "zh": "广告 | ", "zh-Hant": "廣告 | "}
DATES = {
    "en": {"until": "until [last]", "from": "from [first]", "both": "from [first] to [last]"},
    "zh": {"until": "有效期至[last]", "from": "有效期自[first]起", "both": "有效期[first]至[last]"},
}
