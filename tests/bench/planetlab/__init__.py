"""A day of 800 PlanetLab hosts under the rules of docs/planetlab.md: energy over its bound, shortness, migrations."""
