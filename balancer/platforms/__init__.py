"""Where guests live: one file a platform, and one line in the list that opens them."""
