"""Tuning: the few dials of a policy that matter are turned until no rehearsal on one's own history is better."""
