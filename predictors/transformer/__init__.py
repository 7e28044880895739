"""The uplift transformer: its network, and how it is trained."""
