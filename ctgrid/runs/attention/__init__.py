"""What stage 1 attends to, as pictures and numbers."""
