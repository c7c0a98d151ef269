"""The same networks in other runtimes."""
