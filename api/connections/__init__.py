"""100ms connections and the webhooks that 100ms sends to them."""
