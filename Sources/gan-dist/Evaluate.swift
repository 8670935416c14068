import Adversarial
import ArgumentParser
import Evaluation
import Runs
import Support

struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure a generator's samples against data.",
        discussion: """
            Measures: \(Metric.allCases.map(\.rawValue).joined(separator: ", ")); without --metrics all that fit \
            but \(Metric.ofTheory.map(\.rawValue).joined(separator: " and ")).
            Of --features: \(FeatureMetric.allCases.map(\.rawValue).joined(separator: ", ")).
            Example:
              gan-dist data import fashion-mnist --part test --out data/fashion-mnist-test.h5
              mpirun -n 8 gan-dist evaluate runs/clothes --data data/fashion-mnist.h5 --held-out \
              data/fashion-mnist-test.h5 --json
              gan-dist evaluate --features inception-of-real.h5 inception-of-generated.h5 --metrics frechet-distance
            """)

    @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var checkpoint: String?
    @Option(help: ArgumentHelp("Judge these examples in place of a checkpoint's.", valueName: "FILE.h5")) var samples:
        String?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Compare features [N, D] of another program, such as Inception's: real ones, then generated ones.",
            valueName: "REAL.h5 FAKE.h5")) var features: [String] = []
    @Option(help: ArgumentHelp("The training data; default: what the checkpoint was trained on.", valueName: "FILE.h5"))
    var data: String?
    @Option(help: ArgumentHelp("Examples of the same kind that were not trained on.", valueName: "FILE.h5"))
    var heldOut: String?
    @Option(
        help: "The examples' path in these files; default: the run's data.dataset, else /images, /samples or /features."
    )
    var dataset: String?
    @Option(
        help: ArgumentHelp("What gan-dist classifier train made, for the scores by a classifier.", valueName: "FILE.h5")
    ) var classifier: String?
    @Option(help: ArgumentHelp("The measures, with commas between.", valueName: "a,b,…")) var metrics: String?
    @Option(help: "How many examples to judge; default 10000, for modes 2500.") var count: Int?
    @Option(help: "What the latents and all choices follow from.") var seed: UInt64 = 1
    @Option(
        help: ArgumentHelp(
            "Draw D and the optimal D of one-dimensional data (game, optimal-discriminator), or correlations over "
                + "distances (pixel-correlation).", valueName: "FILE.svg"))
    var figure: String?
    @OptionGroup var sampling: SamplingOptions
    @Flag(help: "The parameters of the last step, where an average of them was kept (training.average).")
    var live = false
    @Flag(help: "Print JSON, one object a measure, and nothing else.") var json = false

    func validate() throws {
        if !features.isEmpty { try checkFeatures() }
        if [checkpoint != nil, samples != nil, !features.isEmpty].count(where: { $0 }) != 1 {
            throw ValidationError("Name either a checkpoint, --samples FILE.h5 or --features REAL.h5 FAKE.h5.")
        }
        if let count { try check("--count", count, 2 ... 10_000_000) }
        try sampling.requireGenerator("--live", isGiven: live)
        if checkpoint == nil, sampling.by != .generator {
            throw ValidationError("--by makes samples with the networks of a checkpoint.")
        }
    }

    private func checkFeatures() throws {
        guard features.count == 2 else {
            throw ValidationError("--features needs two files, of real and of generated examples.")
        }
        let others = [("--data", data), ("--held-out", heldOut), ("--classifier", classifier), ("--figure", figure)]
        for (option, value) in others where value != nil {
            throw ValidationError("\(option) does not go with --features, which are compared by themselves.")
        }
    }

    private func compareFeatures() throws {
        var comparison = FeatureComparison(real: features[0], generated: features[1])
        (comparison.dataset, comparison.count, comparison.seed) = (dataset, count, seed)
        comparison.metrics = try metrics.map(FeatureMetric.list)
        evaluate { [comparison] context in try comparison.run(context) }
    }

    private func evaluate(_ body: @escaping (EvaluationContext) throws -> [MetricResult]) -> Never {
        Job.run { [json] communicator in
            let console = Console(speaks: communicator.rank == 0, quiet: json)
            let results = try body(EvaluationContext(communicator, console))
            if communicator.rank == 0 { print(json ? try results.json() : results.table) }
            return 0
        }
    }

    func run() throws {
        if !features.isEmpty { return try compareFeatures() }
        var request = EvaluationRequest()
        (request.checkpoint, request.samples, request.data, request.heldOut) = (checkpoint, samples, data, heldOut)
        (request.classifier, request.count, request.seed, request.figure) = (classifier, count, seed, figure)
        (request.dataset, request.live, request.sampling) = (dataset, live, sampling.method)
        request.metrics = try metrics.map(Metric.list)
        request.needsBackward = request.metrics?.contains { Metric.ofTheory.contains($0) } ?? false
        evaluate { [request] context in
            try MixtureLikelihood.measure(request, context) ?? Evaluator(request, context).run()
        }
    }
}

struct Nearest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Draw a generator's samples beside the training images nearest to them, or images beside the samples.",
        discussion: """
            With --latent the other way round: the first images of the data, each beside what the generator makes of \
            the latent that comes nearest to it.
            Example:
              gan-dist nearest runs/clothes --data data/fashion-mnist.h5 --count 10 --out nearest.png
              gan-dist nearest runs/clothes --latent --data data/fashion-mnist-test.h5 --out found.png
            """)

    @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var checkpoint: String
    @Option(help: ArgumentHelp("The training data; default: what the checkpoint was trained on.", valueName: "FILE.h5"))
    var data: String?
    @Option(help: "The examples' path in that file; default: the run's data.dataset, else /images or /samples.")
    var dataset: String?
    @Option(help: "How many samples or images, one a row.") var count = 10
    @Flag(help: "Seek the latents whose images are nearest to those of the data, by descent.") var latent = false
    @Option(help: "Steps of that descent; default \(NearestLatent.standardSteps).") var steps: Int?
    @Option(help: "Adam's rate in it; default \(NearestLatent.standardRate).") var stepSize: Double?
    @Option(help: "What the latents follow from.") var seed: UInt64 = 1
    @Flag(help: "The parameters of the last step, where an average of them was kept (training.average).")
    var live = false
    @Option(help: ArgumentHelp("The picture to write.", valueName: "FILE.png")) var out: String

    func validate() throws {
        try check("--count", count, 1 ... 1000)
        if let steps { try check("--steps", steps, 1 ... 1_000_000) }
        if let stepSize, !(stepSize > 0 && stepSize.isFinite) {
            throw ValidationError("--step-size \(stepSize) is not a positive number.")
        }
        if !latent, steps != nil || stepSize != nil {
            throw ValidationError("--steps and --step-size go with --latent alone.")
        }
        if !out.hasSuffix(".png") { throw ValidationError("--out '\(out)' must end in .png.") }
    }

    func run() throws {
        var request = EvaluationRequest()
        (request.checkpoint, request.data, request.count, request.seed) = (checkpoint, data, count, seed)
        (request.dataset, request.live) = (dataset, live)
        let descent = NearestLatent(
            steps: steps ?? NearestLatent.standardSteps, rate: stepSize ?? NearestLatent.standardRate)
        Job.run { [request, out, latent] communicator in
            let context = EvaluationContext(communicator, Console(speaks: communicator.rank == 0))
            if latent {
                try descent.write(request, to: out, context)
            } else {
                try NearestSheet.write(request, to: out, context)
            }
            return 0
        }
    }
}
