"""Plans that decide at request time, and their counters in the database."""
