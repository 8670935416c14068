import Support

/// The measures by the names that `--metrics` takes.
public enum Metric: String, NamedMetric {
    case parzen, modes, swd, mmd
    case classifierScore = "classifier-score"
    case frechetClassifierDistance = "frechet-classifier-distance"
    case kernelDistance = "kernel-distance"
    case precisionRecall = "precision-recall"
    case densityCoverage = "density-coverage"
    case labels, alignment, memorisation
    case intrinsicDimension = "intrinsic-dimension"
    case pixelCorrelation = "pixel-correlation"
    case sharpness, game
    /// Of two players of points on a line, of known density.
    case optimalDiscriminator = "optimal-discriminator"
    case gradientVariance = "gradient-variance"
    /// Of a model with a density, a mixture of Gaussians.
    case logLikelihood = "log-likelihood"
    /// Of an autoencoder: the evidence lower bound.
    case elbo

    /// Those of samples, which any generator makes.
    static let ofSamples = allCases.filter { ![.logLikelihood, .elbo].contains($0) && !ofTheory.contains($0) }
    /// Those of two players that are measured where they are named alone.
    public static let ofTheory: [Metric] = [.optimalDiscriminator, .gradientVariance]

    /// Whether it is made of a classifier's answers.
    var needsClassifier: Bool {
        switch self {
        case .classifierScore, .frechetClassifierDistance, .kernelDistance, .precisionRecall, .densityCoverage, .labels,
            .alignment:
            true
        default: false
        }
    }

    /// The figures that it makes, by the names of their results, and whether the lowest is the best; nil: neither the
    /// lowest nor the highest.
    var figures: [(name: String, isLowest: Bool?)] {
        switch self {
        case .swd, .mmd, .frechetClassifierDistance, .kernelDistance, .labels, .pixelCorrelation: [(rawValue, true)]
        case .modes, .classifierScore, .alignment, .elbo: [(rawValue, false)]
        case .precisionRecall: [("precision", false), ("recall", false)]
        case .densityCoverage: [("density", false), ("coverage", false)]
        case .optimalDiscriminator: [(rawValue, true)]
        case .gradientVariance: GradientVariance.costs.map { (GradientVariance.name($0.name), nil) }
        case .parzen, .memorisation, .intrinsicDimension, .sharpness, .game, .logLikelihood: [(rawValue, nil)]
        }
    }
}

/// Measures that the command line names.
public protocol NamedMetric: RawRepresentable, CaseIterable, Equatable, Sendable where RawValue == String {}

extension NamedMetric {
    /// Reads `a,b,c`; throws 64 with the nearest known name.
    public static func list(_ text: String) throws(Failure) -> [Self] {
        var metrics: [Self] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false).map({ $0.filter { !$0.isWhitespace } })
        {
            guard let metric = Self(rawValue: word) else {
                let known = allCases.map(\.rawValue)
                let nearest = Spelling.suggestion(for: word, among: known)
                throw Failure(
                    .usage, "--metrics: there is no measure '\(word)'",
                    remedy: nearest + "Measures: \(known.joined(separator: ", ")).")
            }
            if !metrics.contains(metric) { metrics.append(metric) }
        }
        return metrics
    }
}
