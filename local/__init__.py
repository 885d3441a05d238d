"""What runs on one's own machine and never ships: MiniStack, a Lambda host, one clock, a viewer, and their start."""
