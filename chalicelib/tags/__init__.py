"""Labels that staff and rules put on people."""
