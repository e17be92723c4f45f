"""One load per module, run in a process of its own: ours in our environment, the peers' in theirs."""
