"""Systems that report orders to us by signed webhooks: shops, tills."""
