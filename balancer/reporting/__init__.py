"""What people and programs read: a sentence first, the facts below."""
