import Adversarial
import Collectives
import Foundation
import Kernels
import Storage

/// Measures samples against data: what `gan-dist evaluate` does.
public final class Evaluation {
    private let request: EvaluationRequest
    private let team: Team
    private let material: Material
    private var samples: Examples?
    private var answers: (samples: Classifier.Answers, reference: Classifier.Answers)?

    /// Collective, as everything here.
    public init(_ request: EvaluationRequest, _ team: Team) throws {
        (self.request, self.team) = (request, team)
        material = try Material(request, team)
    }

    /// The measures that were asked for, or all that fit; the same on every rank. Throws 78 where one that was named does not fit.
    public func run() throws -> [Outcome] {
        var metrics: [Metric] = []
        for metric in request.metrics ?? Metric.allCases {
            guard let obstacle = obstacle(to: metric) else { metrics.append(metric); continue }
            if request.metrics != nil { throw AgreedFailure(failure: obstacle) }
            team.console.say("left out: \(obstacle.message). \(obstacle.remedy)")
        }
        return try metrics.flatMap { metric in
            let start = PhaseClock.now()
            let outcomes = try measure(metric)
            team.console.say(String(format: "%@: %.1f s", metric.rawValue as NSString, PhaseClock.now() - start))
            return outcomes
        }
    }

    /// Why a measure does not fit, and what to do.
    private func obstacle(to metric: Metric) -> Failure? {
        func refusal(_ why: String, _ remedy: String) -> Failure {
            Failure(.badConfiguration, "\(metric.rawValue) cannot be measured: \(why)", remedy: remedy)
        }
        let noHeldOut = refusal("it needs examples that the generator was not trained on",
                                "Name them with --held-out FILE.h5 (gan-dist data import fashion-mnist --part test --out FILE.h5 makes such).")
        if metric.needsClassifier, material.classifier == nil {
            return material.isImages
                ? refusal("it needs a classifier", "Name one with --classifier FILE.h5 (gan-dist classifier train makes it).")
                : refusal("it compares what a classifier sees in images, and these are points", "Use modes, swd or mmd.")
        }
        switch metric {
        case .parzen:
            if !material.isImages { return refusal("its protocol is one for images, and these are points", "Use modes, swd or mmd.") }
            return material.heldOut == nil ? noHeldOut : nil
        case .modes:
            if material.mixture != nil || material.classifier != nil { return nil }
            return refusal("the modes of \(material.dataName) are not known",
                           material.isImages ? "Name a classifier, whose classes then are the modes, with --classifier FILE.h5." : "Use it on a mixture that gan-dist made (data synthetic).")
        case .memorisation:
            return material.heldOut == nil ? noHeldOut : nil
        case .game:
            guard let discriminator = material.discriminator else { return refusal("a file of samples has no discriminator", "Name a checkpoint.") }
            let wanted = request.count ?? Material.standardCount
            return wanted >= 2 * discriminator.packing ? nil : refusal("\(wanted) samples are no two packs of \(discriminator.packing)", "Ask for more with --count.")
        default: return nil
        }
    }

    private func measure(_ metric: Metric) throws -> [Outcome] {
        if samples == nil { samples = try material.samples(team) }
        let samples = samples!
        switch metric {
        case .parzen: return [try parzen(samples)]
        case .modes:
            guard let mixture = material.mixture else { return try [LabelHistogram.modes(judged(samples).samples, classifierSettings)] }
            return [Modes.measure(request.count == nil ? samples.first(Modes.points) : samples, mixture)]
        case .swd: return [try SlicedWasserstein.measure(samples, reference(samples.count), seed: request.seed, team)]
        case .mmd: return [try KernelDiscrepancy.measure(samples, reference(samples.count), team)]
        case .classifierScore: return [ClassifierScore.measure(try judged(samples).samples, classifierSettings)]
        case .frechetClassifierDistance: return [try frechetDistance(samples)]
        case .kernelDistance:
            let (mine, theirs) = try judged(samples)
            return [try KernelDiscrepancy.measure(features: mine.features, theirs.features, classifierSettings, team)]
        case .precisionRecall:
            let (mine, theirs) = try judged(samples)
            return try Manifolds.precisionAndRecall(mine.features, theirs.features, classifierSettings, team)
        case .densityCoverage:
            let (mine, theirs) = try judged(samples)
            return try Manifolds.densityAndCoverage(mine.features, theirs.features, classifierSettings, team)
        case .labels:
            let (mine, theirs) = try judged(samples)
            return [LabelHistogram.measure(mine, theirs, classifierSettings)]
        case .memorisation:
            let heldOut = try local { try material.heldOut(samples.count)! }
            return [try Memorisation.measure(samples: samples, heldOut: heldOut, training: material.data, team)]
        case .game: return [try game(samples)]
        }
    }

    /// What every rank does for itself and may fail at on one alone: reading.
    private func local<Value>(_ body: () throws -> Value) throws -> Value { try team.communicator.agreed(body) }

    private func reference(_ count: Int) throws -> Examples { try local { try material.reference(min(count, material.data.count)) } }

    /// What the classifier says of the samples and of as many examples of the data, asked once.
    private func judged(_ samples: Examples) throws -> (samples: Classifier.Answers, reference: Classifier.Answers) {
        if let answers { return answers }
        let classifier = material.classifier!
        let answers = (samples: try classifier.answers(samples, team, "classifier: samples"),
                       reference: try classifier.answers(reference(samples.count), team, "classifier: data"))
        self.answers = answers
        return answers
    }

    private var classifierSettings: [Outcome.Entry] {
        let classifier = material.classifier!
        return [("classifier", .text(classifier.name)), ("classifier_accuracy", classifier.accuracy.map { .number($0) } ?? .text("not tested"))]
    }

    private func frechetDistance(_ samples: Examples) throws -> Outcome {
        let (mine, theirs) = try judged(samples)
        let fewer = min(mine.count, theirs.count)
        if fewer < Classifier.features {
            team.console.warn("the Fréchet distance of \(Classifier.features) features is taken from \(fewer) examples only: their covariance is not of full rank, and the figure far too large")
        }
        return FrechetDistance.measure(mine.features, theirs.features, classifierSettings)
    }

    private func parzen(_ samples: Examples) throws -> Outcome {
        // The authors' validation images are number 50,000 to 50,999 of MNIST's 60,000.
        let first = material.data.count * 5 / 6
        let validation = try local {
            try Examples(material.data, Array(first ..< min(first + Parzen.validationImages, material.data.count)), shape: material.shape)
        }
        let test = try local { try material.heldOut(10_000)! }
        return try Parzen.measure(centres: samples.first(Parzen.centres), validation: validation, test: test, team)
    }

    private func game(_ samples: Examples) throws -> Outcome {
        let discriminator = material.discriminator!
        let real = try reference(samples.count), heldOut = try local { try material.heldOut(samples.count) }
        var outcome = try Game.measure(discriminator, real: real, heldOut: heldOut, generated: samples, team)
        guard let mixture = material.mixture, mixture.dimension == 1, discriminator.packing == 1, let model = material.model else { return outcome }
        let curves = try OptimalDiscriminator(mixture, model, discriminator, seed: request.seed, team)
        outcome = outcome.adding([("distance_from_optimal_d", .number(curves.distance))])
        if let path = request.figure {
            _ = try team.communicator.decidedByRoot {
                try WholeFile.write(Array(curves.svg.utf8), to: path, replacing: true)
                return ""
            }
        }
        return outcome
    }
}
