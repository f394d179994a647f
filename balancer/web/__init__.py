"""Pages and JSON for people and programs: they read what the service has published, and ask what commands can ask."""
