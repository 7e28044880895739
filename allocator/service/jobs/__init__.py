"""Jobs: taken, queued in the database, done by worker processes."""
