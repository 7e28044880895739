"""Who may be contacted, as the columns of ``users`` say it: opt-ins, opt-outs, statuses, control groups."""
