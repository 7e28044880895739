"""What a caller asks of a campaign: run it, open what a run left, report, evaluate, review and train copy."""
