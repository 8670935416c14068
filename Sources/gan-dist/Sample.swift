import Adversarial
import ArgumentParser
import Collectives
import Runs
import Support

struct Sample: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make examples with the networks of a checkpoint: a picture, or an HDF5 dataset.",
        discussion: """
            Under mpirun each rank makes a part of them; the examples are the same on any number of ranks.
            Of a conditional generator a picture has a row a class; a dataset has the labels that were drawn, or asked \
            for, as /labels.
            With --by the discriminator has a part in it: alone (discriminator), by accepting and rejecting samples \
            (rejection), or by moving their latents (langevin); the last two need log-odds, objective.loss: standard.
            Of a discriminator without a generator (model.kind: discriminator) the examples are its negatives; with \
            --by discriminator they are others, found by ascent from fresh noise.
            Example:
              gan-dist sample runs/clothes --count 100 --seed 7 --out clothes.png
              gan-dist sample runs/ring --count 1000 --by langevin --steps 200 --out moved.h5
              mpirun -n 8 gan-dist sample runs/clothes --count 50000 --truncation 0.8 --out generated.h5
            """)

    @Argument(help: "A checkpoint file, or the folder of a run for its newest.") var checkpoint: String
    @Option(help: "How many examples.") var count: Int
    @Option(help: "What the latents follow from.") var seed: UInt64 = 1
    @OptionGroup var asked: AskedCondition
    @Flag(help: "Store the latents beside the examples, as /latents of the HDF5 file.") var latents = false
    @Option(help: ArgumentHelp("The picture or dataset to write.", valueName: "FILE.png|FILE.h5")) var out: String
    @OptionGroup var truncation: TruncationOption
    @OptionGroup var sampling: SamplingOptions
    @Flag(help: "The parameters of the last step, where an average of them was kept (training.average).")
    var live = false

    func validate() throws {
        try check("--count", count, 1 ... 100_000_000)
        try sampling.requireGenerator("--live", isGiven: live)
        try sampling.requireGenerator("--truncation", isGiven: truncation.value != nil)
        if latents, sampling.by != .generator {
            throw ValidationError("--latents are those of --by generator.")
        }
        guard out.hasSuffix(".png") || out.hasSuffix(".h5") || out.hasSuffix(".hdf5") else {
            throw ValidationError("--out '\(out)' must end in .png, .h5 or .hdf5.")
        }
        if latents, out.hasSuffix(".png") { throw ValidationError("--latents needs an HDF5 file, not \(out).") }
    }

    func run() throws {
        Job.run { communicator in
            let console = Console(speaks: communicator.rank == 0)
            let file = try Checkpoint.read(checkpoint, communicator) { console.warn($0) }
            if let mixture = try communicator.agreed({ try MixtureModel(file) }) {
                try refuseOptions(of: "a mixture", asked, latents, truncation, live, sampling)
                try mixture.write(count: count, seed: seed, to: out, communicator)
                console.say("\(count) examples of step \(mixture.step) in \(out)")
                return 0
            }
            let model = try communicator.agreed {
                try GeneratorModel(
                    file, live: live, truncation: truncation.value, backward: sampling.method.needsBackward)
            }
            if !model.hasGenerator {
                try refuseOptions(of: "a discriminator alone", asked, latents, truncation, live)
            }
            try model.write(
                count: count, seed: seed, latents: latents, to: out, asked.request, by: sampling.method, of: file,
                communicator, console)
            console.say("\(count) examples of step \(model.step) in \(out)")
            return 0
        }
    }
}

/// Refuses what only a generator has.
private func refuseOptions(
    of model: String, _ asked: AskedCondition, _ latents: Bool, _ truncation: TruncationOption, _ live: Bool,
    _ sampling: SamplingOptions? = nil
) throws {
    let given = [
        ("--class", asked.label != nil), ("--condition", asked.condition != nil), ("--latents", latents),
        ("--truncation", truncation.value != nil), ("--live", live),
        ("--by", sampling.map { $0.by != .generator } ?? false),
    ]
    guard let option = given.first(where: \.1)?.0 else { return }
    throw AgreedFailure(
        Failure(.badConfiguration, "\(option) is of a generator, and \(model) has none", remedy: "Leave it out."))
}

/// `--truncation T`, of `sample` and `interpolate`.
struct TruncationOption: ParsableArguments {
    @Option(
        name: .customLong("truncation"),
        help: ArgumentHelp(
            "Draw values of normal latents beyond ±T again until they are within: less variety, fewer odd examples.",
            valueName: "T"))
    var value: Float?

    func validate() throws {
        if let value, !(value >= 0.01 && value.isFinite) {
            throw ValidationError("--truncation \(value) is not a number of at least 0.01.")
        }
    }
}

/// Of which condition examples are asked for.
struct AskedCondition: ParsableArguments {
    @Option(
        name: .customLong("class"),
        help: ArgumentHelp(
            "The class of all examples of a conditional generator: its label, or its name.", valueName: "label"))
    var label: String?
    @Option(
        help: ArgumentHelp(
            "The condition of all examples where that is a vector, with commas between.", valueName: "a,b,…"))
    var condition: String?

    func validate() throws {
        if label != nil, condition != nil { throw ValidationError("--class and --condition exclude each other.") }
        if let condition, numbers == nil {
            throw ValidationError("--condition '\(condition)' is no list of numbers with commas between.")
        }
    }

    private var numbers: [Float]? {
        let words = condition?.split(separator: ",", omittingEmptySubsequences: false) ?? []
        let numbers = words.compactMap { Float($0.filter { !$0.isWhitespace }) }
        return numbers.count == words.count && numbers.allSatisfy(\.isFinite) ? numbers : nil
    }

    var request: ConditionRequest {
        if let label { return .named(label) }
        return condition == nil ? .usual : .vector(numbers ?? [])
    }
}
