"""The composition root: the `highlights` command and the wiring of settings to doors."""
