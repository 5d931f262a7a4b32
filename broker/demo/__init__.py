"""`dragoman demo`: a sample server, two old clients and a readable story of what the broker does between them."""
