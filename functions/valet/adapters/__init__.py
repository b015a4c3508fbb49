"""How the system talks to AWS and to providers; each module implements a port of the domain."""
