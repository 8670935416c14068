/// How a parameter starts.
public enum Initialiser: Hashable, Sendable {
    case zero
    case constant(Float)
    /// N(0, σ²).
    case normal(Float)
    /// U(−r, r).
    case uniform(Float)
    /// N(0, 2 / fanIn): He et al. 2015, eq. 10.
    case he
    /// N(0, gain² / fanIn), of an activation's own gain; ``he`` is that of √2, a ReLU's.
    case scaledHe(gain: Float)
    /// U(±√(6 / (fanIn + fanOut))): Glorot & Bengio 2010, eq. 16.
    case glorot
    /// Orthonormal rows or columns times `gain`: Saxe et al. 2014.
    case orthogonal(gain: Float)
    /// The output's bias from the mean of each data value, through the inverse of the last activation; the trainer
    /// fills it in, as the data are needed. Until then zero.
    case marginals
}
