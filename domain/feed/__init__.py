"""Events that a tenant feeds to a stream: scores, odds, bets. Pure."""
