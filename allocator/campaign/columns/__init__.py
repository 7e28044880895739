"""From the columns that a file has to those that a campaign knows: names, exports, ``[columns]``."""
