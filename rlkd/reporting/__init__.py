"""Reports: what a run did, as HTML, Markdown and JSON; and comparisons of runs."""
