"""Frozen values that the whole product speaks of. Imports nothing of ours."""
