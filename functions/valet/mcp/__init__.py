"""The Model Context Protocol over stateless HTTP: POST only, JSON only, both eras."""
