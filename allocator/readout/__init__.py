"""What a send really did, from the outcomes of those whom chance held out and of those who got the plan."""
