from benchmarks.inbound.stage import Stage


def measure_outage(running: Stage, *, seconds: float) -> str:
    return ""
