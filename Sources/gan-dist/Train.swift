import Adversarial
import ArgumentParser
import Collectives
import Evaluation
import Foundation
import Recipes
import Runs

struct Train: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Train a GAN: on one process, or on many under mpirun or srun.",
        discussion: """
            Example:
              gan-dist data import fashion-mnist --out data/fashion-mnist.h5
              mpirun -n 8 gan-dist train --preset dcgan-32 --data data/fashion-mnist.h5 --run runs/clothes --resume auto
              gan-dist train --run runs/clothes --resume auto --set 'output.evaluate={every: 500, metrics: [swd]}'
            """)

    @Option(help: "A published experiment by name (gan-dist presets).") var preset: String?
    @Option(help: "A configuration file (YAML).") var config: String?
    @Option(help: "The dataset, an HDF5 file: data.file.") var data: String?
    @Option(name: .customLong("run"), help: "The run's folder; default runs/NAME.") var runFolder: String?
    @Option(help: "Alternation steps in all: training.steps.") var steps: String?
    @Option(help: "Examples in a global minibatch: training.batch.") var batch: String?
    @Option(
        name: [.long, .customShort("k")],
        help: "Discriminator steps for each generator step: training.discriminator_steps.") var discriminatorSteps:
        String?
    @Option(help: "What all random numbers follow from.") var seed: String?
    @Option(help: "Shards of a minibatch: exchange.shards.") var shards: String?
    @Option(
        help: ArgumentHelp(
            "Parameters that a new run starts from, as gan-dist export --format safetensors writes them.",
            valueName: "FILE.safetensors")) var initial: String?
    @Option(help: "'auto' to continue where the run folder has a checkpoint, or a checkpoint file.") var resume: String?
    @Option(help: ArgumentHelp("Any value of the configuration; may be repeated.", valueName: "key.path=value"))
    var set: [String] = []
    @Option(help: "Steps between checkpoints.") var checkpointEvery: String?
    @Option(help: "Steps between sample pictures.") var sampleEvery: String?
    @Option(help: "Steps between logged lines.") var logEvery: String?
    @Option(help: "Checkpoints to keep.") var keep: String?
    @Option(
        help: ArgumentHelp(
            "Stop with a checkpoint before this much time has passed; "
                + "Slurm's forms too: MM:SS, D-HH, D-HH:MM, D-HH:MM:SS.",
            valueName: "HH:MM:SS"))
    var walltime: String?
    @Option(help: "Store everything random and every result of the first steps in this HDF5 file.") var trace: String?
    @Option(help: "How many steps the trace has.") var traceSteps = 1
    @Option(help: ArgumentHelp("Name the rank that has kept the others waiting for so long.", valueName: "seconds"))
    var stallWarn = 60
    @Option(
        help: ArgumentHelp(
            "End the job with code 70 when a rank has kept the others waiting for so long.", valueName: "seconds"))
    var stallAbort = 300
    @Flag(help: "Print the configuration, the networks' memory and the shards; train nothing.") var dryRun = false
    @Flag(help: "Say nothing but warnings and errors.") var quiet = false

    func validate() throws {
        if preset != nil, config != nil {
            throw ValidationError("--preset and --config exclude each other: a file has everything a preset has.")
        }
        do { _ = try walltime.map(Walltime.seconds) } catch {
            throw ValidationError("\(error.message). \(error.remedy)")
        }
        let texts = [
            ("--run", runFolder), ("--config", config), ("--resume", resume), ("--initial", initial),
            ("--trace", trace),
        ]
        for (option, value) in texts where value == "" {
            throw ValidationError("\(option) has no value.")
        }
        try check("--stall-warn", stallWarn, 3 ... 1_000_000_000)
        try check("--stall-abort", stallAbort, 3 ... 1_000_000_000)
        if stallAbort <= stallWarn {
            throw ValidationError("--stall-abort \(stallAbort) must be more than --stall-warn \(stallWarn).")
        }
        try check("--trace-steps", traceSteps, 1 ... 1_000_000)
    }

    func run() throws {
        let options = try options()
        // Before MPI starts, which takes a second in which a batch system may already signal.
        StopRequest.install()
        Job.run { communicator in try Run.train(options, communicator, evaluator: RunEvaluation.init) }
    }

    private func options() throws -> TrainOptions {
        var options = TrainOptions()
        options.preset = preset
        options.configurationFile = config
        options.runFolder = runFolder
        options.resume = resume.map { $0 == "auto" ? .auto : .file($0) } ?? .no
        options.settings = try set.map { try Setting($0) }
        if let data { options.settings.append(Setting("--data", "data.file", data, isText: true)) }
        let shorthands = [
            ("--steps", "training.steps", steps), ("--batch", "training.batch", batch),
            ("--discriminator-steps", "training.discriminator_steps", discriminatorSteps), ("--seed", "seed", seed),
            ("--shards", "exchange.shards", shards), ("--checkpoint-every", "output.checkpoint_every", checkpointEvery),
            ("--sample-every", "output.sample_every", sampleEvery), ("--log-every", "output.log_every", logEvery),
            ("--keep", "output.keep", keep),
        ]
        for (option, key, value) in shorthands {
            if let value { options.settings.append(Setting(option, key, value)) }
        }
        options.walltime = try walltime.map(Walltime.seconds)
        options.initialValues = initial
        options.traceFile = trace
        options.traceSteps = traceSteps
        options.stallWarn = stallWarn
        options.stallAbort = stallAbort
        options.dryRun = dryRun
        options.quiet = quiet
        return options
    }
}
