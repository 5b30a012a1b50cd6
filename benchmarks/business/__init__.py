"""The smallest business there is, which every contestant does: a sale, and a note of it."""
