"""A Kafka broker of the sandbox's own, over TLS and with passwords, and the company's topics in it."""
