"""What the measuring tools share: a node in a folder of its own, and pictures to give it. Standard library only."""
