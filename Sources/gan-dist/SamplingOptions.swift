import ArgumentParser
import Runs

/// `--by` and what goes with it, of `sample` and `evaluate`.
struct SamplingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "generator; discriminator: gradient ascent on D from noise; rejection: D accepts and rejects samples; "
                + "langevin: D drives the latents."))
    var by = SamplingMethod.Kind.generator
    @Option(
        help: ArgumentHelp(
            "Steps of ascent or of the Langevin chain; default \(SamplingMethod.standardSteps).", valueName: "N"))
    var steps: Int?
    @Option(
        help: ArgumentHelp(
            "Times D's gradient, for ascent (default 0.1); ε of the chain (default 0.01).", valueName: "X"))
    var stepSize: Float?
    @Option(
        help: ArgumentHelp(
            "Deviation of what ascent starts from, where G's output has no bounds; default 1.", valueName: "X"))
    var noise: Float?
    @Option(
        help: ArgumentHelp(
            "Samples whose logits rejection knows beforehand; default \(SamplingMethod().burnIn).", valueName: "N"))
    var burnIn: Int?
    @Option(
        help: ArgumentHelp(
            "γ of rejection: accept by half what is at this percentile of the burn-in; default 80.", valueName: "P"))
    var percentile: Double?

    func validate() throws {
        if let steps { try check("--steps", steps, 1 ... 1_000_000) }
        if let burnIn { try check("--burn-in", burnIn, 2 ... 10_000_000) }
        for (option, value) in [("--step-size", stepSize), ("--noise", noise)] {
            if let value, !(value > 0 && value.isFinite) {
                throw ValidationError("\(option) \(value) is not a positive number.")
            }
        }
        if let percentile, !(0 ... 100).contains(percentile) {
            throw ValidationError("--percentile \(percentile) is not within 0 … 100.")
        }
        let goWith: [(option: String, isGiven: Bool, kinds: [SamplingMethod.Kind])] = [
            ("--steps", steps != nil, [.discriminator, .langevin]),
            ("--step-size", stepSize != nil, [.discriminator, .langevin]),
            ("--noise", noise != nil, [.discriminator]),
            ("--burn-in", burnIn != nil, [.rejection]),
            ("--percentile", percentile != nil, [.rejection]),
        ]
        for (option, isGiven, kinds) in goWith where isGiven && !kinds.contains(by) {
            let names = kinds.map { "--by \($0.rawValue)" }.joined(separator: " and ")
            throw ValidationError("\(option) goes with \(names) alone.")
        }
    }

    /// Refuses what says how G computes, where it has no part.
    func requireGenerator(_ option: String, isGiven: Bool) throws {
        if by == .discriminator, isGiven {
            throw ValidationError("\(option) is of the generator, which has no part in --by discriminator.")
        }
    }

    var method: SamplingMethod {
        var method = SamplingMethod()
        (method.kind, method.steps, method.stepSize) = (by, steps, stepSize)
        if let noise { method.noise = noise }
        if let burnIn { method.burnIn = burnIn }
        if let percentile { method.percentile = percentile }
        return method
    }
}

extension SamplingMethod.Kind: ExpressibleByArgument {}
