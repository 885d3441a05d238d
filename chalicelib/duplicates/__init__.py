"""Two records of one person: found by what they share, made one by hand, and two again when that was wrong."""
