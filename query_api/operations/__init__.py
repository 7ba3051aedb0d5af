"""How the API's operations are declared, described, parsed and refused."""
