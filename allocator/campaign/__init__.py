"""A campaign folder (campaign.toml and tables) in, a problem out; a plan in, a run folder out."""

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import Config, parse_config, read_config
from allocator.campaign.reading import read_campaign

__all__ = ["Campaign", "Config", "parse_config", "read_campaign", "read_config"]
