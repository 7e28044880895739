"""From campaign tables to arrays, by encoders that are fitted once."""
