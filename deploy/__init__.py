"""Deployments on AWS: one file of sizes, and what Copilot and the CDK make of it."""
