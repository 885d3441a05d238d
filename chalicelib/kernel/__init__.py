"""What every room shares: ids, clock, windows, facts, errors, pages, signing, text; pure, standard library only."""
