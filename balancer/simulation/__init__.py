"""Worlds that are not there: hosts and guests that obey physics, for first runs, stories and rehearsals."""
