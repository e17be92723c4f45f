"""Code that runs in AWS Lambda and not with the platform: the standard library, boto3, and nothing of ours."""
