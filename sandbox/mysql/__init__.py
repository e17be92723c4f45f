"""A MariaDB of the sandbox's own, in place of RDS MySQL, and the application's tables in it."""
