"""What a stream costs in requests to S3, and how fast our S3 store uploads."""
