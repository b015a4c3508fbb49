"""Gmail: mail is MIME, which takes code to read; all else about it is data."""
