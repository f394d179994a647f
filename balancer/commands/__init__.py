"""What can be asked of the balancer on the command line."""
