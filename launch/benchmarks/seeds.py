"""What the tables over seeds have in common."""
import math
import statistics


def cell(values, digits, scale=1):
    """Mean ± standard error of the values times `scale`; of one seed its value."""
    values = [scale * float(value) for value in values]
    if not all(map(math.isfinite, values)):
        return "infinite"
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):.{digits}f} ± {error:.{digits}f}"
