"""The simulated world obeys physics, and the embedded site is what it says it is."""
