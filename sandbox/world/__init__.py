"""The company behind the sandbox, generated from one seed: the ground truth that the servers show."""
