"""What people do: on their phones, by themselves as crowds, and for their accounts in the console."""
