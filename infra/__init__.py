"""What makes and deploys the bundle: the merged template, the layer, the change set."""
