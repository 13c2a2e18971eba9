"""Statistics for the tests: every tolerance is five standard errors, computed from the sample itself."""

import torch


def assert_mean(
    samples: torch.Tensor, expected: "float | torch.Tensor", what: str, rounding: float = 0.0
) -> None:
    """The means of independent samples (along dimension 0) are the expected ones within 5 standard errors.

    rounding: float32 error allowed on top, for samples that hardly differ.
    """
    samples = samples.double()
    mean = samples.mean(0)
    expected = torch.as_tensor(expected).double().expand(mean.shape)
    error = samples.std(0) / len(samples) ** 0.5
    away = (mean - expected).abs() - 5 * error
    worst = int(away.argmax())
    found, need, tolerance = (v.flatten()[worst].item() for v in (mean, expected, 5 * error))
    message = f"{what}: {found:.6g}, but {need:.6g} +- {tolerance:.2g} expected"
    assert (away <= rounding).all(), f"{message} (5 standard errors of {len(samples)} samples, entry {worst})"


def assert_normal(z: torch.Tensor, what: str) -> None:
    """Kolmogorov and Smirnov's test against N(0, 1): p > 1e-3."""
    z = z.double().flatten().sort().values
    n = len(z)
    cdf = torch.special.ndtr(z)
    steps = torch.arange(n + 1, dtype=torch.float64) / n
    distance = max((steps[1:] - cdf).max().item(), (cdf - steps[:-1]).max().item())
    # 1.9495: where the limiting distribution of sqrt(n) D has 1e-3 left
    assert distance * n**0.5 < 1.9495, f"{what}: KS distance {distance:.3g} of {n} numbers, p < 1e-3"
