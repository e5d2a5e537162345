"""The decision machine and what it is made of, judged by an oracle of its own."""
