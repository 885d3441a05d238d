"""Enishi (縁): CRM and marketing automation for LINE公式アカウント, serverless in a company's own AWS account."""
