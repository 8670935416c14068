import Kernels

/// What the logits of a shard say, whatever the objective: sums over its rows.
struct LogitFigures {
    /// Of the logits.
    var real = 0.0, fake = 0.0
    /// Pairs of a real and a generated row of which the real one has the higher logit.
    var ranked = 0.0
    /// Real rows of which the logit is above 0, less those of which it is below.
    var signs = 0.0

    init(_ logits: (real: Floats, fake: Floats)) {
        let (reals, fakes) = logits
        for row in 0 ..< reals.count {
            real += Double(reals[row])
            signs += reals[row] > 0 ? 1 : reals[row] < 0 ? -1 : 0
        }
        for row in 0 ..< fakes.count { fake += Double(fakes[row]) }
        for row in 0 ..< min(reals.count, fakes.count) where reals[row] > fakes[row] { ranked += 1 }
    }
}

/// What logits say where they are log-odds: sums over the rows of a shard.
struct LogOddsFigures {
    /// Of D(x) = σ(s).
    var probability = 0.0
    /// Of log D(x) for real examples, of log(1 − D(x)) for generated ones: the terms of V(D, G).
    var value = 0.0

    init(_ logits: Floats, isReal: Bool) {
        for row in 0 ..< logits.count {
            let logit = Double(logits[row])
            probability += sigmoid(logit)
            value -= softplus(isReal ? -logit : logit)
        }
    }
}
