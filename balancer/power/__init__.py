"""How hosts sleep and wake: one file a backend, and one line in the list that opens them."""
