"""The company's own record of a person, and his consent to each delivery channel."""
