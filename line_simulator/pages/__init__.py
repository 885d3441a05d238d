"""What people see: the phone page, the dialogs of access.line.me, and the in-app browser of scripted people."""
