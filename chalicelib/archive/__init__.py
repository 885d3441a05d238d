"""The whole house in one file: every table, to be kept elsewhere or to be moved into another installation."""
