"""One send to an audience at a time; the audience is frozen when it starts, and everybody in it gets it once."""
