"""The lake: Delta tables whose every commit carries the position in its inputs."""
