import Adversarial
import Collectives
import Foundation
import Kernels
import Recipes
import Storage
import Support

/// Measures samples against data: what `gan-dist evaluate` does.
public final class Evaluator {
    private let request: EvaluationRequest
    private let context: EvaluationContext
    private let inputs: EvaluationInputs
    private var samples: Examples?
    private var answers: (samples: Classifier.Answers, reference: Classifier.Answers)?
    private let real: RealStatistics

    /// Collective, as everything here.
    public convenience init(_ request: EvaluationRequest, _ context: EvaluationContext) throws {
        self.init(try EvaluationInputs(request, context), request, context)
    }

    init(
        _ inputs: EvaluationInputs, _ request: EvaluationRequest, _ context: EvaluationContext,
        samples: Examples? = nil, _ real: RealStatistics = RealStatistics()
    ) {
        (self.inputs, self.request, self.context, self.samples, self.real) = (inputs, request, context, samples, real)
    }

    /// The measures that were asked for, or all that fit; the same on every rank. Throws 78 where one that was named
    /// does not fit.
    public func run() throws -> [MetricResult] {
        var metrics: [Metric] = []
        let fitting = Metric.ofSamples + (inputs.autoencoder?.hasBound == true ? [.elbo] : [])
        for metric in request.metrics ?? fitting {
            guard let obstacle = obstacle(to: metric) else { metrics.append(metric); continue }
            if request.metrics != nil { throw AgreedFailure(obstacle) }
            context.console.say("left out: \(obstacle.message). \(obstacle.remedy)")
        }
        return try metrics.flatMap { metric in
            let start = monotonicSeconds()
            let results = try measure(metric).map(sayingHow)
            context.console.say(String(format: "%@: %.1f s", metric.rawValue as NSString, monotonicSeconds() - start))
            return results
        }
    }

    /// With how the samples were made, where that is not by the generator alone.
    private func sayingHow(_ result: MetricResult) -> MetricResult {
        let kind = request.sampling.kind
        guard kind != .generator else { return result }
        return result.with([("by", .text(kind.rawValue))])
    }

    /// Why a measure does not fit, and what to do.
    func obstacle(to metric: Metric) -> Failure? {
        func refusal(_ why: String, _ remedy: String) -> Failure {
            Failure(.badConfiguration, "\(metric.rawValue) cannot be measured: \(why)", remedy: remedy)
        }
        let noHeldOut = refusal(
            "it needs examples that the generator was not trained on",
            "Name them with --held-out FILE.h5 (gan-dist data import "
                + "fashion-mnist --part test --out FILE.h5 makes such)."
        )
        if metric.needsClassifier, inputs.classifier == nil {
            return inputs.isImages
                ? refusal(
                    "it needs a classifier", "Name one with --classifier FILE.h5 (gan-dist classifier train makes it).")
                : refusal(
                    "it compares what a classifier sees in images, and these are points", "Use modes, swd or mmd.")
        }
        if metric.needsClassifier, inputs.stacked != nil {
            return refusal(
                "the classifier judges each channel by itself",
                "Use modes, or a classifier of images of \(inputs.shape) with --classifier FILE.h5.")
        }
        switch metric {
        case .logLikelihood:
            return refusal("a generator has no density", "Use it on a mixture of Gaussians (model.kind: mixture).")
        case .parzen:
            if !inputs.isImages {
                return refusal("its protocol is one for images, and these are points", "Use modes, swd or mmd.")
            }
            return inputs.heldOut == nil ? noHeldOut : nil
        case .modes:
            if let stacked = inputs.stacked, stacked.modes == nil {
                return refusal(
                    "\(stacked.channels) channels of \(stacked.classifier.classes) classes are too many modes to count",
                    "Leave it out.")
            }
            if inputs.mixture != nil || inputs.classifier != nil { return nil }
            return refusal(
                "the modes of \(inputs.dataName) are not known",
                inputs.isImages
                    ? "Name a classifier, whose classes then are the modes, with --classifier FILE.h5."
                    : "Use it on a mixture that gan-dist made (data synthetic).")
        case .memorisation:
            return inputs.heldOut == nil ? noHeldOut : nil
        case .elbo:
            guard let autoencoder = inputs.autoencoder else {
                return refusal("there is no encoder", "Use it on a variational autoencoder (model.kind: vae).")
            }
            guard autoencoder.hasBound else {
                return refusal(
                    "codes that are points have no distribution, and so no bound of a likelihood",
                    "Use it on a variational autoencoder (model.kind: vae).")
            }
            return inputs.heldOut == nil ? noHeldOut : nil
        case .intrinsicDimension:
            let few = min(inputs.sampleCount, inputs.data.count), k = IntrinsicDimension.neighbours
            return few > k ? nil : refusal("\(few) examples have no \(k) neighbours each", "Take more examples.")
        case .pixelCorrelation, .sharpness:
            guard case .image(let height, let width, _) = inputs.shape else {
                return refusal("it is of the pixels of images, and these are points", "Leave it out.")
            }
            if metric == .sharpness {
                return min(height, width) >= 3
                    ? nil : refusal("images of \(inputs.shape) have no pixel with four neighbours", "Leave it out.")
            }
            return 2 ... PixelCorrelation.mostPixels ~= height * width
                ? nil
                : refusal(
                    "it takes images of 2 … \(PixelCorrelation.mostPixels) pixels, and these have "
                        + "\(height * width)", "Leave it out.")
        case .precisionRecall, .densityCoverage:
            let few = min(inputs.sampleCount, inputs.data.count)
            let wanted =
                metric == .precisionRecall ? Manifolds.neighboursOfPrecision : Manifolds.neighboursOfDensity
            return few > wanted
                ? nil : refusal("\(few) examples have no \(wanted) neighbours each", "Take more examples.")
        case .alignment:
            guard case .classes = inputs.condition?.condition else {
                return refusal(
                    "the samples were asked for no label", "Use it on a checkpoint whose condition is a class.")
            }
            guard let labels = inputs.labels else {
                return refusal("\(inputs.dataName) has no labels", "Name data that have them with --data FILE.h5.")
            }
            let classes = inputs.classifier?.classes ?? 0, known = 0 ..< classes
            return labels.allSatisfy(known.contains)
                ? nil
                : refusal(
                    "the classifier knows the labels 0 … \(classes - 1), and \(inputs.dataName) has others",
                    "Name a classifier that was trained on these labels.")
        case .game:
            guard let discriminator = inputs.discriminator else {
                if inputs.model?.configuration is DiscriminatorConfiguration {
                    return refusal("there is no generator, and so no game", "Leave it out.")
                }
                guard inputs.autoencoder != nil else {
                    return refusal("a file of samples has no discriminator", "Name a checkpoint.")
                }
                return inputs.model?.configuration is AutoencoderConfiguration
                    ? refusal("an autoencoder has no discriminator", "Leave it out.")
                    : refusal("this discriminator judges codes, or examples with theirs", "Leave it out.")
            }
            guard !discriminator.isConditional else {
                return refusal(
                    "this discriminator judges an example together with its condition, so that it has no D(x)",
                    "Leave it out.")
            }
            guard discriminator.isLogOdds else {
                return refusal(
                    "the logits of this discriminator are no log-odds, so that it has no D(x)",
                    "Leave it out: only objective.loss: standard has a value V(D, G).")
            }
            let wanted = request.count ?? EvaluationInputs.standardCount
            return wanted >= 2 * discriminator.packing
                ? nil
                : refusal(
                    "\(wanted) samples are no two packs of \(discriminator.packing)", "Ask for more with --count.")
        case .mmd:
            return min(inputs.sampleCount, inputs.data.count) >= 2
                ? nil : refusal("a single example has no distance to another", "Take more examples.")
        case .optimalDiscriminator, .gradientVariance:
            guard request.sampling.kind == .generator else {
                return refusal("it is of G's own samples, in which D has no part", "Leave out --by.")
            }
            guard let judge = inputs.judge, inputs.sampler != nil else {
                return refusal(
                    "it needs a generator, and a discriminator that judges single examples by themselves",
                    "Use it on a GAN without packing, condition, encoder or minibatch_deviation.")
            }
            guard judge.isLogOdds else {
                return refusal(
                    "the logits of this discriminator are no log-odds",
                    "Leave it out: it is of objective.loss: standard.")
            }
            guard metric == .optimalDiscriminator else { return nil }
            return (inputs.mixture.map { $0.dimension == 1 && $0.deviation > 0 } ?? false)
                ? nil
                : refusal(
                    "\(inputs.dataName) has no known density on a line",
                    "Use it on data.synthetic: gaussian1d or mixture1d.")
        default: return nil
        }
    }

    private func measure(_ metric: Metric) throws -> [MetricResult] {
        if metric == .elbo { return [try EvidenceBound.measure(inputs, request, context)] }
        if samples == nil { samples = try inputs.samples(context) }
        let samples = samples!
        switch metric {
        case .parzen: return [try parzen(samples)]
        case .modes:
            guard let mixture = inputs.mixture else {
                return [try modes(samples)]
            }
            return [Modes.measure(request.count == nil ? samples.first(Modes.points) : samples, mixture)]
        case .swd:
            return [
                try SlicedWasserstein.measure(samples, reference(samples.count), seed: request.seed, context, real)
            ]
        case .mmd: return [try KernelDiscrepancy.measure(samples, reference(samples.count), context, real)]
        case .classifierScore: return [ClassifierScore.measure(try judged(samples).samples, classifierSettings)]
        case .frechetClassifierDistance: return [try frechetDistance(samples)]
        case .kernelDistance:
            let (mine, theirs) = try judged(samples)
            return [
                try KernelDiscrepancy.measure(
                    features: mine.features, theirs.features, classifierSettings, context, real)
            ]
        case .precisionRecall:
            let (mine, theirs) = try judged(samples)
            return try Manifolds.precisionAndRecall(
                mine.features, theirs.features, classifierSettings, context, real)
        case .densityCoverage:
            let (mine, theirs) = try judged(samples)
            return try Manifolds.densityAndCoverage(
                mine.features, theirs.features, classifierSettings, context, real)
        case .labels:
            let (mine, theirs) = try judged(samples)
            return [LabelHistogram.measure(mine, theirs, classifierSettings)]
        case .alignment:
            let (mine, theirs) = try judged(samples)
            let labels = inputs.labels!
            return [
                Alignment.measure(
                    mine, asked: inputs.askedLabels(samples.count)!, theirs,
                    own: inputs.drawn(theirs.count).map { labels[$0] }, classifierSettings)
            ]
        case .memorisation:
            let heldOut = try local { try inputs.heldOut(samples.count)! }
            return [try Memorisation.measure(samples: samples, heldOut: heldOut, training: inputs.data, context, real)]
        case .intrinsicDimension:
            return [try IntrinsicDimension.measure(samples, reference(samples.count), context, real)]
        case .pixelCorrelation:
            let result = try PixelCorrelation.measure(samples, reference(samples.count), context, real)
            try draw(PixelCorrelation.svg(result))
            return [result]
        case .sharpness: return [Sharpness.measure(samples, try reference(samples.count), real)]
        case .game: return [try game(samples)]
        case .optimalDiscriminator: return [try optimalDiscriminator()]
        case .gradientVariance:
            return try GradientVariance.measure(
                LogitGradient(inputs.sampler!, inputs.judge!.discriminator), count: samples.count, seed: request.seed,
                context)
        case .elbo, .logLikelihood: preconditionFailure("measured before, or refused by obstacle(to:)")
        }
    }

    /// What every rank does for itself and may fail at on one alone: reading.
    private func local<Value>(_ body: () throws -> Value) throws -> Value { try context.communicator.agreed(body) }

    private func reference(_ count: Int) throws -> Examples {
        try local { try inputs.reference(min(count, inputs.data.count)) }
    }

    /// What the classifier says of the samples and of as many examples of the data, asked once.
    private func judged(_ samples: Examples) throws -> (samples: Classifier.Answers, reference: Classifier.Answers) {
        if let answers { return answers }
        let classifier = inputs.classifier!
        let answers = (
            samples: try classifier.answers(samples, context, "classifier: samples"),
            reference: try real.answers(classifier) {
                try classifier.answers(reference(samples.count), context, "classifier: data")
            }
        )
        self.answers = answers
        return answers
    }

    private var classifierSettings: [MetricResult.Entry] {
        let classifier = inputs.classifier!
        return [
            ("classifier", .text(classifier.name)),
            ("classifier_accuracy", classifier.accuracy.map { .number($0) } ?? .text("not tested")),
        ]
    }

    private func modes(_ samples: Examples) throws -> MetricResult {
        if let stacked = inputs.stacked {
            return LabelHistogram.modes(
                try stacked.counts(samples, context), "the classifier's classes of \(stacked.channels) channels",
                classifierSettings)
        }
        return LabelHistogram.modes(
            try judged(samples).samples.histogram, "the classifier's classes", classifierSettings)
    }

    private func frechetDistance(_ samples: Examples) throws -> MetricResult {
        let (mine, theirs) = try judged(samples)
        FrechetDistance.warn(Classifier.features, of: min(mine.count, theirs.count), context.console)
        return FrechetDistance.measure(
            Metric.frechetClassifierDistance.rawValue, mine.features, theirs.features, classifierSettings, real)
    }

    private func parzen(_ samples: Examples) throws -> MetricResult {
        // The authors' validation images are number 50,000 to 50,999 of MNIST's 60,000.
        let first = inputs.data.count * 5 / 6
        let validation = try local {
            try Examples(
                inputs.data, Array(first ..< min(first + Parzen.validationImages, inputs.data.count)),
                shape: inputs.shape)
        }
        let test = try local { try inputs.heldOut(10_000)! }
        return try Parzen.measure(centres: samples.first(Parzen.centres), validation: validation, test: test, context)
    }

    private func game(_ samples: Examples) throws -> MetricResult {
        let discriminator = inputs.discriminator!
        let real = try reference(samples.count), heldOut = try local { try inputs.heldOut(samples.count) }
        var result = try Game.measure(discriminator, real: real, heldOut: heldOut, generated: samples, context)
        guard let mixture = inputs.mixture, mixture.dimension == 1, mixture.deviation > 0, discriminator.packing == 1,
            let sampler = inputs.sampler
        else { return result }
        let curves = try OptimalDiscriminator(mixture, sampler, seed: request.seed, context) {
            try discriminator.logits(FloatBuffer($0))
        }
        result = result.adding([("distance_from_optimal_d", .number(curves.distance))])
        try draw(curves.svg)
        return result
    }

    private func optimalDiscriminator() throws -> MetricResult {
        let sampler = inputs.sampler!, judge = inputs.judge!
        let curves = try OptimalDiscriminator(inputs.mixture!, sampler, seed: request.seed, context) {
            try judge.discriminator.logits(of: $0)
        }
        try draw(curves.svg)
        return curves.result([("density", .text(OptimalDiscriminator.density(of: sampler)))])
    }

    /// Writes the figure, where one is asked for.
    private func draw(_ svg: @autoclosure () -> String) throws {
        guard let path = request.figure else { return }
        _ = try context.communicator.decidedByRoot {
            try WholeFile.write(Array(svg().utf8), to: path, replacing: true)
            return ""
        }
    }
}
