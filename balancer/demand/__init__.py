"""What each guest will need: pure thinking over readings that somebody else has fetched."""
