"""What holds models side by side: the two wings (`twins`), and their sizes (`sizes`)."""
