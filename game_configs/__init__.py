"""Game profiles, one YAML file per game or sport; `default.yaml` is the fallback."""
