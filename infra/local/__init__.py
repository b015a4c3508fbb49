"""The whole system on one machine: no AWS account, no Docker, no Google project."""
