"""One page that holds everything of a report: tables, plots, a slice viewer and run records, without any other file."""
