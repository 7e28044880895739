"""Who may be reached, on which channels, who may not and why, and what to be careful about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from allocator.campaign.campaign import Campaign
from allocator.campaign.consent.contact import Source
from allocator.campaign.eligibility import Eligibility, consents, eligibility
from allocator.campaign.schema import CHANNELS, CONSENT


@dataclass(frozen=True)
class ChannelReach:
    """Who may be reached on one channel.

    Parameters
    ----------
    consent
        Users who consent to it.
    eligible
        Users who may be given some coupon on it.
    coupons
        Active coupons that are sent on it; those without a channel of their own count for each of
        ``[copy] channels``.
    said_by
        How the columns of ``users`` were read that say who consents.
    """

    consent: int
    eligible: int
    coupons: int
    said_by: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """Who of a campaign's users may be reached.

    Parameters
    ----------
    users, eligible
        All users, and those who may be given something.
    is_stated
        Whether any column says who consents; without, everyone counts as consenting.
    held_out
        Users who never get anything: ``holdout``, or a column that names a control group.
    without_consent
        Users who consent to no channel of this campaign, held out or not.
    channels
        By channel that a coupon of this campaign is sent on.
    reasons
        Users who may be given nothing, by reason.
    held_out_by
        How columns that name a control group were read.
    cautions
        What a planner must know before anything is sent.
    """

    users: int
    eligible: int
    is_stated: bool
    held_out: int
    without_consent: int
    channels: Mapping[str, ChannelReach]
    reasons: Mapping[str, int]
    held_out_by: tuple[str, ...]
    cautions: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def reach_of(campaign: Campaign, allowed: Eligibility) -> Reach:
    """Count who may be reached.

    Parameters
    ----------
    campaign
        With what its users' columns say.
    allowed
        Of `allocator.campaign.eligibility.eligibility`.
    """
    consent = consents(campaign)
    used = _used_channels(campaign)
    channels = {
        name: ChannelReach(
            consent=int(consent[:, CHANNELS.index(name)].sum()),
            eligible=int((allowed.channel == CHANNELS.index(name)).any(axis=1).sum()),
            coupons=coupons,
            said_by=tuple(map(str, campaign.contact.about(name))),
        )
        for name, coupons in used.items()
    }
    codes = [CHANNELS.index(name) for name in used]
    eligible = int(allowed.allowed.any(axis=1).sum())
    reasons = Counter(filter(None, allowed.reason.tolist()))
    return Reach(
        users=campaign.users.height,
        eligible=eligible,
        is_stated=is_stated(campaign),
        held_out=int(campaign.users["holdout"].sum()),
        without_consent=int((~consent[:, codes].any(axis=1)).sum()),
        channels=channels,
        reasons=dict(sorted(reasons.items())),
        held_out_by=tuple(map(str, campaign.contact.holdout)),
        cautions=tuple(_cautions(campaign, channels, eligible)),
    )


def cautions_of(campaign: Campaign) -> tuple[str, ...]:
    """Return what a planner must know of a campaign before anything is sent."""
    return reach_of(campaign, eligibility(campaign)).cautions


def _used_channels(campaign: Campaign) -> dict[str, int]:
    """Return the channels that active coupons are sent on, with the number of coupons."""
    own = campaign.active_coupons["channel"]
    open_ = own.null_count()
    counts = {name: int((own == name).sum()) for name in CHANNELS}
    for name in campaign.config.copy_.channels if open_ else ():
        counts[name] += open_
    return {name: count for name, count in counts.items() if count}


def _cautions(campaign: Campaign, channels: Mapping[str, ChannelReach], eligible: int) -> Iterator[str]:
    contact, names = campaign.contact, _listed(channels)
    stated = is_stated(campaign)
    if not stated:
        only = f", only who may not ({_columns(contact.consent)})" if contact.consent else ""
        who = "all others count" if contact.consent else "everyone counts"
        columns = " or ".join(CONSENT[name] for name in channels)
        yield (
            f"no column of the users says who may be written to{only}: {who} as consenting to {names}. "
            f"If not everybody does, add {columns}"
        )
    for name, found in channels.items():
        about = [source for source in contact.about(name) if source.grants]
        if stated and contact.consent and not about:
            yield f"no column of the users says who consents to {name}: nobody gets anything on it"
        elif stated and not found.consent:
            said_by = f" ({_columns(about)})" if about else ""
            yield f"nobody consents to {name}{said_by}: nobody gets anything on it"
        elif about and all(source.general for source in about) and list(channels) != ["email"]:
            yield f"{_columns(about)} names no channel, and was taken to be about {name}, too"
    if not eligible:
        yield "nobody may be given anything"


def is_stated(campaign: Campaign) -> bool:
    """Return whether the users' columns say who may be written to; without, everyone counts as consenting."""
    if campaign.contact.consent:
        return campaign.contact.is_stated
    return any(name in campaign.users.columns for name in CONSENT.values())


def _columns(sources: list[Source] | tuple[Source, ...]) -> str:
    return ", ".join(f"'{source.column}'" for source in sources)


def _listed(names: Mapping[str, ChannelReach]) -> str:
    return " and ".join(names)
