"""Every event that LINE sent: done once, kept for a while for support."""
