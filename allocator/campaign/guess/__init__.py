"""What people's own files are: which tables, which columns, what belongs together; asked where unsure."""

from allocator.campaign.guess.campaign import CampaignGuess, guess_campaign
from allocator.campaign.guess.files import ColumnGuess, FileGuess
from allocator.campaign.guess.writing import campaign_toml

__all__ = ["CampaignGuess", "ColumnGuess", "FileGuess", "campaign_toml", "guess_campaign"]
