"""Words that speak of consent, in names and in cells, as exports and people write them.

Names and cells are compared by `allocator.campaign.columns.names.key_of`: no case, no spacing, no accents.
"""

from __future__ import annotations

import re

from allocator.campaign.columns.names import key_of


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _keys(text: str) -> frozenset[str]:
    return frozenset(key_of(word.strip()) for word in text.split(","))


# Parts of names: regular expressions over the name's words run together

OPTED_OUT = re.compile(
    r"unsubs?cri(?:be[ds]?|ption|bing)?|unsub|opt(?:s|ed|ing)?(?:out|off)|"
    r"do(?:es)?not(?:contact|call|e?mail|sms|text|push|send|market|message|phone|solicit|disturb|promot|postal|bulk|"
    r"fax|allow|receive|want|subscribe)|dont(?:contact|call|e?mail|sms|text|push|send|market|disturb)|"
    r"nolongercontact|suppress(?:ed|ions?)?|(?:black|block|deny|robinson|stop)list(?:ed)?|"
    r"marketingexclu\w*|"
    r"(?:e?mail|sms|push|inapp|marketing|notifications?)(?:is|are)?(?:disabled|blocked|disallowed)|"
    # German, French, Spanish, Italian, Dutch, Portuguese, Chinese, Japanese
    r"abgemeldet|abbestell|widerspr|widerruf|werbesperr|kontaktsperr|sperrliste|desinscri|desabonn|listenoire|"
    r"nepascontacter|nocontactar|listanegra|desuscri|disiscri|uitgeschreven|afgemeld|descadastr|naocontatar|"
    r"退订|退訂|拒收|黑名单|黑名單|免打扰|勿扰|取消订阅|配信停止|受信拒否"
)
UNREACHABLE = re.compile(
    r"spam(?:complain|report|flag)\w*|markedasspam|(?:hard|soft|email|mail|is|has)bounced?|bouncede?mail|undeliverable|"
    r"globallyexclu\w*"
)
"""Says that somebody must not be written to, and of others nothing."""
OPTED_IN = re.compile(
    r"(?<!ad)opt(?:s|ed|ing)?in(?!g)|consent(?:s|ed|ing)?|subs?cribe[drs]?|"
    r"(?:accept|allow|receiv|want|permit|agree|enabl)(?:s|es|e|ed|d|sto|edto|dto|to|)(?:receive|get|)"
    r"(?:e?mail|sms|push|inapp|marketing|mailing|offer|promo|communicat|advert|contact|notif|news)\w*|"
    r"(?:e?mail|sms|push|inapp|marketing|mailing|contact|notifications?|newsletter)(?:is|are)?"
    r"(?:allowed|accepted|enabled|permitted|permission|approved|agreed|approval)|"
    r"contactable|(?<!e)mailable|emailable|marketable|permissionto|"
    r"einwillig\w*|zustimmung|werbeerlaubnis|kontakterlaubnis|abonn\w*|suscri\w*|acepta\w*|consenso|iscritt\w|"
    r"toestemming|ingeschreven|inscrit\w?|assinante|zgoda|同意|许可|許可|订阅|訂閱|授权|授權|購読|配信"
)
MARKETING_CONTACT = re.compile(r"marketingcontact(?:status)?")
"""HubSpot's word for whom one pays for; it says who must not be written to, and not who consented."""
ABOUT_CONTACT = re.compile(
    r"subscription|newsletter|mailinglist|permissions?|legalbasis|lawfulbasis|gdpr|optinpreference"
)
"""Speaks of being contacted, but of no act."""
MAY = re.compile(
    r"\b(?:accepts?|accepted|allows?|allowed|receives?|wants?|agrees?|agreed|permits?) (?:\w+ ){0,3}"
    r"(?:marketing|newsletters?|mailings?|promotions?|promotional|advertising)\b|"
    r"\b(?:can|may|ok to|okay to|allowed to) (?:be )?"
    r"(?:e ?mail|sms|text|push|contact|market|send|notif|message)|"
    r"\b(?:e ?mails?|sms|push|contact|marketing) (?:ok|okay)\b"
)
MAY_NOT = re.compile(
    r"\b(?:no|never|not) (?:contact|marketing|mailings?|e ?mails?|calls?|sms|push|newsletters?)\b|"
    r"\b(?:cannot|can not|may not|must not) (?:be )?"
    r"(?:e ?mail|sms|text|push|contact|market|send|notif|message)"
)
"""The same in words too short to be looked for inside others."""
NOT_BEFORE = re.compile(
    r"(?:not|non|no|never|without|isnt|hasnt|didnot|dis|kein|keine|sin|sans|senza|geen|sem|nicht|未|不)(?:in)?$"
)
"""What turns a part of a name around where it stands just before it."""
NOT_AFTER = re.compile(
    r"^(?:ment|imento|imiento|ion|)(?:was|is|)(?:withdraw\w*|revo[kc]\w*|refus\w*|denied|declined|removed|cancell?ed|"
    r"rejected)"
)
"""What turns a part of a name around where it stands just after it."""
BOTH_WAYS = re.compile(r"optin(?:opt|or|and)*out|inout")
SHORT_OUT = _words("dnc dnd dne baja blacklisted denylisted excluded exclude exclusion")
SHORT_UNREACHABLE = _words("blocked banned deceased bounced")
NOUNS = re.compile(r"consents?$|consent(?:ement|imento|imiento)$")
"""Parts that name no act: a time beside them is when something changed, not when somebody agreed."""

NEUTRAL = _words("""
    is has have the a an and or for by via of to from at on in with flag yn promotional marketing
    contact contacts contacted communication communications customer customers user users member
    members client clients recipient current global all overall general any double single confirmed
    explicit my our we us you your i me shop store brand direct news information info message
    messages notification notifications promo promotion promotions commercial advertising ads offer
    offers deals sign up signup state profile account crm list channel channels latest last first
    original be will would like wants want please yes agree agreed gdpr ok de del la le les el des
    du der die das zum zur fur fuer para por il lo al alla ind indicator c pc hs person bool boolean
    can may not no non never without did cannot withdrawn revoked refused denied declined removed
    cancelled canceled rejected value field custom attr hubspot
""")
"""Words that leave what a name says of consent as it is; others make it consent to something else."""

MARKETING = _words("marketing newsletters mailing mailings notifications promotions offers") | _words(
    "werbung publicidad publicite pubblicita"
)
CHANNEL_WORDS = _words("email emails e mail mails sms push in app inapp text")
FILLERS = _words("is has the for by via of to flag yn promotional")

STATUS = _words("status statut estado stato statuses 状态")
OF_CONTACT = _words("""
    email mail sms push marketing subscriber contact mailing list optin suppression permission
    communication notification channel bounce
""")
"""Words beside *status* with which it can only be one of being contacted."""
OF_A_PERSON = _words("""
    customer user member account profile lead record person recipient client
""")
PREFERENCES = _words("preference preferences prefs")

TIMES = _words("at on date time timestamp ts since when day datetime datum fecha utc")
EXPIRES = _words("until expires expiry expiration expire end ends till")
CHANGES = _words("updated changed modified created update change synced")
ABOUT_IT = _words("""
    source sources ip method reason reasons text version level campaign title id form url page
    provider country type comment note notes category origin link medium language wording document
    proof list lists name
""")
"""Words after consent that say the column is about it, and not whether there is one."""
COUNTS = _words("""
    count counts number num n rate share ratio score probability prob propensity risk days weeks
    months years hours total sum avg mean length duration fee price amount revenue percent plan tier
    frequency rank tenure
""")
"""Words beside consent with which 0 and 1 would be amounts, not no and yes."""

HOLDOUT = re.compile(
    r"holdout|heldout|holdback|controlgroup|controlgrp|ctrlgroup|ctrlgrp|globalcontrol|universalcontrol|"
    r"kontrollgruppe|grupo(?:de)?control|groupetemoin|gruppo(?:di)?controllo|对照组|對照組|控制组"
)
HOLDOUT_WORDS = _words("ucg gcg control ctrl")
HOLDOUT_FILLERS = _words("is in the flag cell arm user member customer")

# What a part of a name says of channels

OTHER_CHANNELS = re.compile(
    r"direct-?mail|postal|postmail|snailmail|letterbox|whatsapp|wechat|微信|telegram|viber|kakao|phone|telefon|"
    r"voice|call|fax|webpush|browserpush|messenger|facebook|电话|print"
)
TELEPHONE = re.compile(r"phone|telefon|voice|call|电话|dnc|cell")
MOBILE = re.compile(r"mobile(?!phone)")
"""SMS where somebody opted out of it; in opt-ins it may also be push messages."""
CHANNEL_NAMES = {
    "push": re.compile(r"(?<!web)(?<!browser)push|推送"),
    "in_app": re.compile(r"inapp|站内"),
    "sms": re.compile(r"sms|mms|textmess|短信|短訊|簡訊"),
    "email": re.compile(
        r"(?<!direct)(?<!postal)(?<!snail)(?<!bulk)e?mail|newsletter|correo|courriel|"
        r"邮件|邮箱|郵件|電郵|メール"
    ),
}
TEXT_WORDS = _words("text texts txt")

# Cells

YES = _keys(
    "1, true, yes, y, t, on, checked, ja, j, oui, o, si, s, sim, tak, wahr, vrai, verdadero, 是, はい"
)
NO = _keys("0, false, no, n, f, off, unchecked, nein, non, nao, nie, nee, falsch, faux, falso, 否, いいえ")
MARKS = _keys("x, ✓, ✔, *")
"""Yes where nothing else but empty cells stands beside them."""
AGREED = _keys("""
    accepted, accepts, agreed, granted, given, allowed, permitted, enabled, confirmed, explicit,
    approved, express, obtained, reachable, mailable, freely given consent
""")
"""Yes where the name speaks of consent; elsewhere they may mean anything."""
REFUSED = _keys("""
    declined, denied, refused, rejected, revoked, withdrawn, disabled, pending, unconfirmed,
    awaiting, pending confirmation, unknown, not set, not given, never, none, redacted, not
    specified, requested, not asked, not provided, soft bounce, soft bounced, bounced, bounce,
    cleaned, complained, complaint, spam, transactional, junk, undeliverable, invalid email, held
""")
"""No where the name speaks of consent."""
OF_AN_ACCOUNT = {
    **dict.fromkeys(_keys("active"), True),
    **dict.fromkeys(
        _keys("inactive, archived, deleted, removed, blocked, banned, invalid, expired, dropped"), False
    ),
}
"""Cells that may be of an account, too: they count where other cells or the name speak of being contacted."""
SUBSCRIBED = _keys("""
    subscribed, opted in, opt in, confirmed opt in, single opt in, double opt in, explicit opt in,
    confirmed subscriber, marketing contact, consented, consent given, has consent, subscriber,
    abonniert, abonne, suscrito, iscritto, 已订阅, 已同意
""")
"""Cells that say by themselves that one may write."""
UNSUBSCRIBED = _keys("""
    unsubscribed, unsubscribe, opted out, opt out, never subscribed, not subscribed, non subscribed,
    unsub, not opted in, no consent, non marketing contact, suppressed, user suppressed, hard
    bounce, hard bounced, spam complaint, reported spam, marked as spam, do not contact, do not
    email, do not mail, do not call, do not text, dnc, blacklisted, blocklisted, denylisted, no
    longer contact, abgemeldet, desabonne, desinscrit, 退订, 已退订, 拒收, 未订阅, 黑名单
""")
"""Cells that say by themselves that one may not."""
OF_DELIVERY = _keys("held, bounced, cleaned, complained, undeliverable")
"""Refusals that only a sender of messages writes."""
IN_CONTROL = _keys(
    "control, control group, ctrl, holdout, held out, holdback, global control, ucg, gcg, 对照组"
)
NOT_IN_CONTROL = _keys("""
    treatment, treatment group, treated, treat, test, test group, target, targeted, exposed,
    campaign, variant, not control, not in control, non control, experiment, none, 实验组
""")
CHANNEL_CELLS = {
    **dict.fromkeys(_keys("email, mail, newsletter"), "email"),
    **dict.fromkeys(_keys("sms, mms, text, text message"), "sms"),
    **dict.fromkeys(_keys("push, mobile, mobile push, app push"), "push"),  # Klaviyo: mobile is push
    **dict.fromkeys(_keys("in app"), "in_app"),
    **dict.fromkeys(_keys("web, direct mail, phone, post, postal, whatsapp, call, fax"), ""),
}
LOUD = (
    r"(?i)un-?subscri|opt(?:ed|s)?[\s_-]?out|do[\s_-]?not[\s_-]?(?:contact|e?-?mail|call|text|sms)|"
    r"suppress(?:ed|ion)|(?:black|block|deny)[\s_-]?list|never[\s_-]?subscri|hold[\s_-]?out|control[\s_-]?group|"
    r"退订|拒收|黑名单"
)
"""What makes a cell speak of being contacted, whatever else it says."""
NO_DATE = r"^0000-00-00(?:[T ]00:00:00(?:\.0+)?)?$"
DATE_LIKE = (
    r"^(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/. ](?:\d{1,2}|[A-Za-z]{3,9})[-/. ,]+\d{2,4}|"
    r"[A-Za-z]{3,9} \d{1,2},? \d{4})(?:[T ,]+\d{1,2}[:.h]\d{2}.*)?$"
)
EPOCH = r"^1\d{9}(?:\d{3})?(?:\.\d+)?$"
