"""A day of 800 PlanetLab hosts under the rules of docs/benchmarks.md: energy over its bound, shortness, migrations."""
