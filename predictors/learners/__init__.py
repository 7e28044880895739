"""Meta-learners: uplift from regressions of the outcome."""
