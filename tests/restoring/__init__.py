"""What stays used when a store goes back in time: transcripts that are played against the running daemon."""
