"""The machinery that runs, keeps and judges the cells of an experiment."""
