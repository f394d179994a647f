"""The first files of a site: who is named, what was found there, what is wrong, and what is written down."""
