"""The smallest business there is: a sale, and a note that somebody heard of it."""
