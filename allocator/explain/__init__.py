"""Why a plan gives what it gives: to one user, to a group of users."""
