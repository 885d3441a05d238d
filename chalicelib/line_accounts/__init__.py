"""The company's LINE公式アカウント: several of them, each with its secrets in Secrets Manager and a webhook address of its own."""
