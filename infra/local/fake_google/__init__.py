"""A strict fake Google: OAuth, Gmail and Calendar on loopback, strict by discovery documents."""
