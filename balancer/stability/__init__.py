"""What keeps guests from going back and forth."""
