"""Tasks of published data sets, each a function from a folder to a label table."""
