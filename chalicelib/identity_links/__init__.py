"""The consented bond between a friend on LINE and the company's customer (ID連携)."""
