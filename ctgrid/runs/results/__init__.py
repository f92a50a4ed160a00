"""What results say: each kind described once, as tables and charts that any renderer can write."""
